"""What every stage of the program is given, and how one is run: once, whole, with a manifest at its end."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from rl.data.run_data import RunData
from rl.engines.engines import Engines
from rl.experience.judge import JudgedRollout
from rl.experience.rollout_log import write_rollouts
from rl.recipe.recipe import Recipe
from rl.run.policy_state import PolicyState
from rl.run.progress import ProgressDisplay, StageProgress
from rl.run.run_directory import RunDirectory
from rl.run.stage_directory import StageDirectory
from rl.run.stopwatch import Stopwatch


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


class Stage(ABC):
    """One kind of stage. ``run`` does the work and returns the manifest's ``result``; a new policy goes in under
    ``policy``. It may be killed at any moment: what it left is cleared, or taken up where it kept a cursor."""

    kind: ClassVar[str]
    label: ClassVar[str]

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
    def run(self, context: StageContext) -> dict[str, Any]:
        """Do the work."""

    @abstractmethod
    def summary(self, result: Mapping[str, Any]) -> str:
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
    last_name: str = ""

    def __call__(self, stage: Stage, policy: PolicyState) -> tuple[dict[str, Any], PolicyState]:
        """Run a stage from ``policy``, or take its result from its manifest. Returns that and the policy after."""
        directory = self.run.stage(f"{self.num_started:02d}-{stage.kind}-r{stage.round_index}")
        self.num_started += 1
        self.last_name = directory.name
        if directory.is_complete:
            result: dict[str, Any] = directory.manifest()["result"]
            self.display.done_before(f"{stage.title}: {stage.summary(result)}")
        else:
            result = self._run(stage, directory, policy)
        if "policy" in result:
            policy = PolicyState.from_result(result["policy"], self.run.path)
        return result, policy

    def _run(self, stage: Stage, directory: StageDirectory, policy: PolicyState) -> dict[str, Any]:
        started_at = time.time()
        watch = Stopwatch()
        with self.display.stage(stage.title, total_steps=stage.num_steps(self.recipe, self.data)) as progress:
            with watch("start"):
                self.engines.load_policy(policy)
            result = stage.run(
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
            directory.complete(
                kind=stage.kind,
                title=stage.title,
                round_index=stage.round_index,
                started_at=started_at,
                watch=watch,
                inputs={"policy": policy.to_result(self.run.path), **stage.inputs()},
                result=result,
            )
            progress.finish(stage.summary(result))
        return result
