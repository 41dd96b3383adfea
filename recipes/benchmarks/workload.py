"""What the benchmarks measure on: a recipe's data and tiny model in a scratch directory, and the engines over them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from recipes.settings.recipe_file import load_recipe
from rl.recipe.recipe import Recipe
from rl.run.boundary.output import command_log, scratch_with_logs
from rl.run.results.manifest import first_result, results_of
from rl.run.results.stage_result import PolicyState, PrepareResult
from rl.run.run_directory import RunDirectory
from sampler.prompt import Prompt
from sampler.rollout import SamplingPlan
from verifiers.errors import BadInput

if TYPE_CHECKING:
    from rl.data.batch import Batch
    from rl.data.run_data import RunData
    from rl.engines.engines import Engines
    from rl.stages.stage import StageContext


@dataclass(frozen=True)
class Workload:
    """Of one RL step. Engines' noise goes to a log, ``say`` reaches the terminal."""

    recipe: Recipe
    data: RunData
    engines: Engines
    terminal: TextIO

    @classmethod
    @contextmanager
    def of(cls, recipe: Recipe) -> Iterator[Workload]:
        """Prepared anew; the engines start when they are asked for, and end with the block."""
        with scratch_with_logs("hone-bench-") as scratch:
            with command_log(scratch / "logs" / "driver.log") as terminal:
                from rich.console import Console

                from rl.run.progress import ProgressDisplay
                from rl.runner import StageRunner
                from rl.stages.prepare import PrepareStage

                display = ProgressDisplay(Console(quiet=True), live=False)
                with StageRunner(recipe, RunDirectory(scratch), display) as runner:
                    runner(PrepareStage())
                    yield cls(recipe, runner.data, runner.engines, terminal)

    @property
    def prompts(self) -> Sequence[Prompt]:
        return self.data.train[: self.recipe.rl.prompts_per_step]

    @property
    def plan(self) -> SamplingPlan:
        rl = self.recipe.rl
        return self.engines.plan(
            stage="", step=0, num_samples=rl.samples_per_prompt, max_response_tokens=rl.max_response_tokens
        )

    def say(self, words: str) -> None:
        """To the terminal, past the log that standard output goes to."""
        print(words, file=self.terminal, flush=True)

    def sft_batch(self) -> Batch:
        """As many supervised sequences as an RL step trains on in one mini-batch."""
        from rl.data.batch import Batch
        from rl.data.prompt_encoder import PromptEncoder
        from rl.data.sft_batches import sft_sequences

        rl, sampler = self.recipe.rl, self.recipe.sampler
        rows = self.data.cold_start[: rl.prompts_per_step * rl.samples_per_prompt // rl.num_mini_batches]
        encoder = PromptEncoder(self.engines.base.hub, sampler.chat_template_kwargs)
        return Batch.of(sft_sequences(rows, encoder, max_tokens=sampler.max_model_len)[0])


@contextmanager
def rl_workload(run: Path, policy: Path, overrides: Sequence[str]) -> Iterator[tuple[StageContext, TextIO]]:
    """What an RL stage is given, and the terminal; engines' noise goes to a log and all ends with the block. ``policy``
    is a checkpoint in the hub layout. Raises: BadInput where ``run`` has prepared no data."""
    with (
        scratch_with_logs("hone-bench-") as scratch,
        command_log(scratch / "logs" / "driver.log") as terminal,
    ):
        from rl.data.run_data import image_limits, load
        from rl.engines.engines import Engines
        from rl.run.progress import StageProgress
        from rl.stages.stage import StageContext

        run, here = run.absolute(), RunDirectory(scratch)
        results = results_of(run)
        prepared = first_result(results, PrepareResult)
        if prepared is None:
            raise BadInput(f"{run} has no prepared data: give the directory of a run that has trained")
        recipe = load_recipe(run / "recipe.yaml", overrides)
        data, state = (
            load(prepared.paths, run, image_limits(recipe)),
            PolicyState(0, policy.absolute(), "benchmark"),
        )
        here.open("name: benchmark\n")
        try:
            with Engines(recipe, state, here.logs, probe=data.heldout) as engines:
                progress = StageProgress("RL", None, 0, lambda: 0.0)
                directory = here.stage("benchmark")
                yield StageContext(recipe, here, directory, engines, data, state, progress, "rl", 0), terminal
        finally:
            here.close()
