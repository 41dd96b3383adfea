"""What a stage is, and what it is given while it runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from rl.data.run_data import RunData
from rl.engines.engines import EngineName, Engines
from rl.experience.experience import Experience
from rl.experience.judge import JudgedRollout
from rl.experience.prompt_source import FixedSource
from rl.experience.rollout_log import TokenFigures, write_rollouts
from rl.experience.source import ExperienceSource, Sampler
from rl.recipe.recipe import Recipe
from rl.run.progress import StageProgress
from rl.run.results.stage_result import PolicyState, StageResult
from rl.run.run_directory import RunDirectory
from rl.run.stage_directory import StageDirectory
from rl.run.stopwatch import Stopwatch
from rl.stages.checkpoint import StageCheckpoint
from sampler.prompt import Prompt
from sampler.rollout import SamplingPlan

ResultT = TypeVar("ResultT", bound=StageResult)


@dataclass(frozen=True)
class StageContext:
    """A stage's surroundings. ``policy`` is what it starts from; phases are timed with ``watch``.

    The stage that prepares finds no data and no policy; its engines are those that may warm up meanwhile. ``needs`` are
    the engines of this stage and those after it."""

    recipe: Recipe
    run: RunDirectory
    directory: StageDirectory
    engines: Engines
    data: RunData
    policy: PolicyState
    progress: StageProgress
    kind: str
    round_index: int
    needs: Collection[EngineName] = ()
    watch: Stopwatch = field(default_factory=Stopwatch)

    def checkpoint(self, every_steps: int | None) -> StageCheckpoint:
        """The stage's newest checkpoint, replaced every so many steps; None for never."""
        return StageCheckpoint(self.directory, self.watch, every_steps=every_steps)

    def plan(self, *, stage: str | None = None, **options: Any) -> SamplingPlan:
        """A sampling plan under the recipe's seed; ``stage`` names the stream of random numbers, its own by default.
        ``options`` as in ``Engines.plan``."""
        return self.engines.plan(stage=stage or self.directory.name, seed=self.recipe.seed, **options)

    def sample(
        self,
        prompts: Sequence[Prompt],
        *,
        sampler: Sampler | None = None,
        requires_judged: bool = True,
        **options: Any,
    ) -> Experience:
        """All of ``prompts`` sampled once and judged, in time that counts as the stage's; ``options`` as in `plan`.
        ``sampler`` in place of the engines' own. Raises: HoneError where ``requires_judged`` and too many have no
        decision."""
        plan = self.plan(max_response_tokens=self.recipe.rl.max_response_tokens, **options)
        source = ExperienceSource(
            sampler or self.engines.sampler,
            self.engines.judge,
            FixedSource(prompts),
            plan,
            requires_judged=requires_judged,
        )
        experience = next(source)
        self.watch.include(experience.seconds)
        return experience

    def log_rollouts(
        self,
        step: int,
        judged: Sequence[JudgedRollout],
        *,
        blind: bool = False,
        tokens: Mapping[str, TokenFigures] | None = None,
    ) -> None:
        """Append a step's rollouts to the log of the run; ``blind`` where pictures were not shown, ``tokens`` what is
        known of single tokens where they are kept."""
        write_rollouts(
            self.directory.rollouts,
            judged,
            stage=self.directory.name,
            round_index=self.round_index,
            step=step,
            blind=blind,
            run_seed=self.recipe.seed,
            tokens=tokens,
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
    is cleared, or taken up where it kept a cursor. ``needs`` are the engines it works with."""

    leaves: type[ResultT]
    label: ClassVar[str]
    needs: ClassVar[tuple[EngineName, ...]] = ()

    def __init__(self, round_index: int = 0) -> None:
        self.round_index = round_index

    @property
    def kind(self) -> str:
        return self.leaves.kind

    @property
    def title(self) -> str:
        return f"round {self.round_index} · {self.label}"

    def directory_name(self, number: int) -> str:
        """Of the stage with this number in its program."""
        return f"{number:02d}-{self.kind}-r{self.round_index}"

    @abstractmethod
    def work(self, recipe: Recipe) -> str:
        """What there is to do, counted, for a dry run."""

    @abstractmethod
    def expected(self, recipe: Recipe, directory: StageDirectory, policy: PolicyState | None) -> ResultT:
        """What a dry run takes for the result: that all goes well. Figures are not known: NaN."""

    def num_steps(self, recipe: Recipe, data: RunData) -> int | None:
        """Steps for the progress bar; None where there is nothing to count."""
        return None

    def needs_of(self, recipe: Recipe) -> tuple[EngineName, ...]:
        """``needs``, and where a recipe asks for more, that too."""
        return self.needs

    def inputs(self) -> Mapping[str, Any]:
        """What went in, for the manifest, beside the policy."""
        return {}

    @abstractmethod
    def run(self, context: StageContext) -> ResultT:
        """Do the work."""

    @abstractmethod
    def summary(self, result: ResultT) -> str:
        """The result in a few words, for the terminal."""
