"""What every stage of the program is given, and how one is run: once, whole, with a manifest at its end."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from rl.data.run_data import RunData
from rl.engines.engines import Engines
from rl.experience.judge import JudgedRollout
from rl.experience.rollout_log import write_rollouts
from rl.recipe.recipe import Recipe
from rl.run.policy_state import PolicyState
from rl.run.progress import ProgressDisplay, StageProgress
from rl.run.run_directory import RunDirectory
from rl.run.stage_directory import StageDirectory
from rl.run.stage_result import StageResult
from rl.run.stopwatch import Stopwatch

ResultT = TypeVar("ResultT", bound=StageResult)


@dataclass(frozen=True)
class StageContext:
    """A stage's surroundings. ``policy`` is what it starts from; phases are timed with ``watch``."""

    recipe: Recipe
    run: RunDirectory
    directory: StageDirectory
    engines: Engines
    data: RunData
    policy: PolicyState
    progress: StageProgress
    kind: str
    round_index: int
    watch: Stopwatch = field(default_factory=Stopwatch)

    def log_rollouts(self, step: int, judged: Sequence[JudgedRollout]) -> None:
        """Append a step's rollouts to the log of the run."""
        write_rollouts(
            self.directory.rollouts,
            judged,
            stage=self.directory.name,
            round_index=self.round_index,
            step=step,
        )

    def log_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """Append a step's figures to the run's metrics."""
        self.run.metrics.append(
            stage=self.directory.name,
            kind=self.kind,
            round_index=self.round_index,
            step=step,
            metrics=metrics,
        )


class Stage(ABC, Generic[ResultT]):
    """One kind of stage. ``run`` does the work and returns what it leaves. It may be killed at any moment: what it left
    is cleared, or taken up where it kept a cursor."""

    leaves: type[ResultT]
    label: ClassVar[str]

    @property
    def kind(self) -> str:
        return self.leaves.kind

    def __init__(self, round_index: int) -> None:
        self.round_index = round_index

    @property
    def title(self) -> str:
        return f"round {self.round_index} · {self.label}"

    def num_steps(self, recipe: Recipe, data: RunData) -> int | None:
        """Steps for the progress bar; None where there is nothing to count."""
        return None

    def inputs(self) -> Mapping[str, Any]:
        """What went in, for the manifest, beside the policy."""
        return {}

    @abstractmethod
    def run(self, context: StageContext) -> ResultT:
        """Do the work."""

    @abstractmethod
    def summary(self, result: ResultT) -> str:
        """The result in a few words, for the terminal."""


@dataclass
class StageRunner:
    """Runs stages in order, skipping those already complete, and numbers them."""

    recipe: Recipe
    run: RunDirectory
    engines: Engines
    data: RunData
    display: ProgressDisplay
    num_started: int = 1  # stage 00 prepared the data

    def __call__(self, stage: Stage[ResultT], policy: PolicyState) -> ResultT:
        """Run a stage from ``policy``, or take what it left from its manifest. It is handed on as the manifest has it,
        so that a run that was resumed goes on with the same."""
        directory = self.run.stage(f"{self.num_started:02d}-{stage.kind}-r{stage.round_index}")
        self.num_started += 1
        if directory.is_complete:
            result = stage.leaves.of(directory.manifest(), self.run.path)
            self.display.done_before(f"{stage.title}: {stage.summary(result)}")
            return result
        return self._run(stage, directory, policy)

    def _run(self, stage: Stage[ResultT], directory: StageDirectory, policy: PolicyState) -> ResultT:
        started_at = time.time()
        watch = Stopwatch()
        with self.display.stage(stage.title, total_steps=stage.num_steps(self.recipe, self.data)) as progress:
            with watch("start"):
                self.engines.load_policy(policy)
            left = stage.run(
                StageContext(
                    self.recipe,
                    self.run,
                    directory,
                    self.engines,
                    self.data,
                    policy,
                    progress,
                    stage.kind,
                    stage.round_index,
                    watch,
                )
            )
            manifest = directory.complete(
                left,
                title=stage.title,
                round_index=stage.round_index,
                started_at=started_at,
                watch=watch,
                inputs={"policy": policy.to_json(self.run.path), **stage.inputs()},
            )
            result = stage.leaves.of(manifest, self.run.path)
            progress.finish(stage.summary(result))
        return result
