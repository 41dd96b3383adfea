"""How a program's stages are run: each once, whole, with a manifest at its end; or followed without running any."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from rl.data.run_data import RunData, image_limits
from rl.engines.engines import EngineName, Engines
from rl.experience.scorer import REWARD_MODEL_LINK
from rl.recipe.recipe import Recipe
from rl.run.progress import ProgressDisplay
from rl.run.progress_file import telling
from rl.run.results.stage_result import PolicyState, PrepareResult, RewardModelResult, StageResult
from rl.run.run_directory import RunDirectory
from rl.run.run_record import write_summary
from rl.run.stage_directory import StageDirectory
from rl.run.stopwatch import Stopwatch
from rl.stages.prepare import PrepareStage, decided_since, prepared_data
from rl.stages.stage import ResultT, Stage, StageContext
from sampler.atomic_file import point_to
from sampler.prompt import Prompt
from verifiers.errors import BadInput


@dataclass(frozen=True)
class PlannedStage:
    """A stage as a dry run finds it: the name of its directory, what there is to do, the engines it works with;
    ``inputs`` are those of its manifest, as ``Stage.inputs`` names them; ``summary`` is what it came to, if it is
    done."""

    name: str
    kind: str
    title: str
    work: str
    needs: Collection[EngineName]
    is_done: bool
    inputs: Mapping[str, Any] = field(default_factory=dict)
    summary: str = ""


class Runner(ABC):
    """What a program is called with. ``run(stage, policy)`` gives back what the stage left, so a program is plain
    Python: it hands results on, and goes another way when a figure says so.

    Stages are numbered in the order of the calls. One that has a manifest is not run again: what it left is read, so
    the same program after a kill goes on where it was.
    """

    def __init__(self, recipe: Recipe, run: RunDirectory) -> None:
        self.recipe = recipe
        self.directory = run
        self.num_stages = 0

    def __call__(self, stage: Stage[ResultT], policy: PolicyState | None = None) -> ResultT:
        """Run a stage from ``policy``; the one that prepares, from none. Raises: BadInput where another has none."""
        if policy is None and not isinstance(stage, PrepareStage):
            raise BadInput(f"{stage.title} starts from a policy: call run(stage, policy)")
        directory = self.directory.stage(stage.directory_name(self.num_stages))
        self.num_stages += 1
        if directory.is_complete:
            result = stage.leaves.of(directory.manifest(), self.directory.path)
            self._found(stage, directory, result)
        else:
            result = self._run(stage, directory, policy)
        return result

    @abstractmethod
    def _found(self, stage: Stage[ResultT], directory: StageDirectory, result: ResultT) -> None: ...

    @abstractmethod
    def _run(
        self, stage: Stage[ResultT], directory: StageDirectory, policy: PolicyState | None
    ) -> ResultT: ...

    @abstractmethod
    def release(self, policy: PolicyState) -> None:
        """RUN/policy is from now on this one: what a person takes who takes the run's policy."""

    @abstractmethod
    def note(self, text: str) -> None:
        """A line for the terminal."""


Program = Callable[[Runner], None]
MakeEngines = Callable[..., AbstractContextManager[Engines]]


class DryRun(Runner):
    """Follows a program: stages that are done with what they left, the others as if each went well."""

    def __init__(self, recipe: Recipe, run: RunDirectory) -> None:
        super().__init__(recipe, run)
        self.stages: list[PlannedStage] = []

    def _found(self, stage: Stage[ResultT], directory: StageDirectory, result: ResultT) -> None:
        self._plan(stage, directory, summary=stage.summary(result), is_done=True)

    def _run(self, stage: Stage[ResultT], directory: StageDirectory, policy: PolicyState | None) -> ResultT:
        self._plan(stage, directory, is_done=False)
        expected = stage.expected(self.recipe, directory, policy)
        return expected.model_copy(update={"stage": directory.name, "round_index": stage.round_index})

    def _plan(
        self, stage: Stage[ResultT], directory: StageDirectory, *, is_done: bool, summary: str = ""
    ) -> None:
        self.stages.append(
            PlannedStage(
                directory.name,
                stage.kind,
                stage.title,
                stage.work(self.recipe),
                stage.needs_of(self.recipe),
                is_done,
                stage.inputs(),
                summary,
            )
        )

    def release(self, policy: PolicyState) -> None:
        pass

    def note(self, text: str) -> None:
        pass


def plan_of(program: Program, recipe: Recipe, run: RunDirectory) -> list[PlannedStage]:
    """The stages of a program, in order. Nothing is run and nothing written."""
    dry = DryRun(recipe, run)
    program(dry)
    return dry.stages


class StageRunner(Runner):
    """Runs. The engines that the rest of ``plan`` needs start together, when the first of its stages needs one."""

    def __init__(
        self,
        recipe: Recipe,
        run: RunDirectory,
        display: ProgressDisplay,
        *,
        plan: Sequence[PlannedStage] = (),
        make_engines: MakeEngines = Engines,
    ) -> None:
        super().__init__(recipe, run)
        self.display = display
        self.plan = plan
        self._make_engines = make_engines
        self._stack = ExitStack()
        self._load: Callable[[], RunData] | None = None
        self._base: PolicyState | None = None
        judge = recipe.judging.reward_model
        self._reward_model = Path(judge.path) if judge is not None and judge.path is not None else None
        self._data: RunData | None = None
        self._engines: Engines | None = None

    def __enter__(self) -> StageRunner:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def data(self) -> RunData:
        """Read when a stage first works on it: a program that was done before reads none."""
        if self._data is None:
            assert self._load is not None, "a program begins with PrepareStage, or is given its data"
            self._data = self._load()
        return self._data

    @property
    def engines(self) -> Engines:
        if self._engines is None:
            self._engines = self._engines_of(self._base, self.data.heldout)
        return self._engines

    def _engines_of(self, base: PolicyState | None, probe: Sequence[Prompt]) -> Engines:
        assert base is not None, "a program begins with PrepareStage, or is given its base policy"
        engines = self._make_engines(
            self.recipe, base, self.directory.logs, probe=probe, reward_model=self._reward_model
        )
        return self._stack.enter_context(engines)

    def begin(
        self, data: RunData | Callable[[], RunData], base: PolicyState, reward_model: Path | None = None
    ) -> None:
        """What stages work on (or how to read it), and the policy that all others are made from: as the first stage
        prepared them, or as a program is given them, whose stages then are numbered from 1 all the same."""
        self.num_stages = max(1, self.num_stages)
        self._load, self._data = data if callable(data) else lambda: data, None
        self._reward_model = reward_model or self._reward_model
        if self._engines is not None and self._base == base:  # they have warmed up
            self._engines.prove_on(self.data.heldout)
        else:
            self._base, self._engines = base, None

    def _found(self, stage: Stage[ResultT], directory: StageDirectory, result: ResultT) -> None:
        directory.drop_checkpoint()  # where a kill came before it could
        self.display.done_before(f"{self._title(stage)}: {stage.summary(result)}")
        if isinstance(result, PrepareResult):
            for line in decided_since(self.recipe, result, self.directory.path):
                self.display.note(line)
        self._take_up(result, None)

    def _run(self, stage: Stage[ResultT], directory: StageDirectory, policy: PolicyState | None) -> ResultT:
        started_at, watch = time.time(), Stopwatch()
        num_steps = None if self._load is None else stage.num_steps(self.recipe, self.data)
        with (
            self.display.stage(self._title(stage), total_steps=num_steps) as progress,
            telling(self.directory.path, directory.name, progress),
        ):
            needs = self._needs_from(stage)
            if policy is not None:
                with watch("start"):
                    self.engines.load_policy(policy, needs)
            else:
                self._base = cast(PrepareResult, stage.expected(self.recipe, directory, None)).policy
                self._engines = self._engines_of(self._base, ())
            context = StageContext(
                self.recipe, self.directory, directory, cast(Engines, self._engines), cast(RunData, self._data),
                cast(PolicyState, policy), progress, stage.kind, stage.round_index, needs,
                watch,
            )  # fmt: skip
            left = stage.run(context)
            inputs = {} if policy is None else {"policy": policy.to_json(self.directory.path)}
            manifest = directory.complete(
                left,
                title=stage.title,
                round_index=stage.round_index,
                started_at=started_at,
                watch=watch,
                inputs={**inputs, **stage.inputs()},
            )
            directory.drop_checkpoint()
            # As a process that resumes will read it, so that both go on with the same.
            result = stage.leaves.of(manifest, self.directory.path)
            for warning in result.warnings:
                progress.warn(warning)
            progress.finish(stage.summary(result), "warning" if progress.warnings else "ok")
        self._take_up(result, stage.data if isinstance(stage, PrepareStage) else None)
        write_summary(self.directory.path)
        return result

    def _needs_from(self, stage: Stage[ResultT]) -> set[EngineName]:
        ahead = self.plan[self.num_stages - 1 :]
        return {
            name for needs in (stage.needs_of(self.recipe), *(one.needs for one in ahead)) for name in needs
        }

    def _take_up(self, result: StageResult, data: RunData | None) -> None:
        """What the stages after it find: data and a base policy, a reward model."""
        if isinstance(result, PrepareResult):
            run_path = self.directory.path
            self.begin(
                data or (lambda: prepared_data(result, run_path, image_limits(self.recipe))), result.policy
            )
        elif isinstance(result, RewardModelResult) and result.model is not None:
            self._reward_model = result.model
            if self._engines is not None:
                self._engines.use_reward_model(result.model)
            point_to(self.directory.path / REWARD_MODEL_LINK, result.model)

    def _title(self, stage: Stage[ResultT]) -> str:
        return f"{self.num_stages}/{len(self.plan)} {stage.title}" if self.plan else stage.title

    def release(self, policy: PolicyState) -> None:
        point_to(self.directory.path / "policy", policy.hub)

    def note(self, text: str) -> None:
        self.display.note(text)
