"""What the benchmarks measure on: a recipe's data and tiny model in a scratch directory, and the engines over them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from rl.data.batch import Batch
from rl.recipe.recipe import Recipe
from rl.run.output import command_log, scratch_with_logs
from sampler.prompt import Prompt
from sampler.rollout import SamplingPlan


class Workload:
    """``with Workload(recipe) as workload``: engines' noise goes to a log, ``say`` reaches the terminal."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    def __enter__(self) -> Workload:
        with ExitStack() as stack:
            self._prepare(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def _prepare(self, stack: ExitStack) -> None:
        from rich.console import Console

        from rl.run.progress import ProgressDisplay
        from rl.run.run_directory import RunDirectory
        from rl.stages.prepare import PrepareStage
        from rl.stages.runner import StageRunner

        run = RunDirectory(stack.enter_context(scratch_with_logs("hone-bench-")))
        self._terminal = stack.enter_context(command_log(run.logs / "driver.log"))
        display = ProgressDisplay(Console(quiet=True), live=False)
        runner = stack.enter_context(StageRunner(self.recipe, run, display))
        runner(PrepareStage())
        self.data, self.engines = runner.data, runner.engines
        rl = self.recipe.rl
        self.prompts: Sequence[Prompt] = self.data.train[: rl.prompts_per_step]

    @property
    def plan(self) -> SamplingPlan:
        """Of one RL step."""
        rl = self.recipe.rl
        return self.engines.plan(
            stage="", step=0, num_samples=rl.samples_per_prompt, max_response_tokens=rl.max_response_tokens
        )

    def say(self, words: str) -> None:
        """To the terminal, past the log that standard output goes to."""
        print(words, file=self._terminal, flush=True)

    def sft_batch(self) -> Batch:
        """As many supervised sequences as an RL step trains on in one mini-batch."""
        from rl.data.prompt_encoder import PromptEncoder
        from rl.data.sft_batches import sft_sequences

        rl = self.recipe.rl
        num = rl.prompts_per_step * rl.samples_per_prompt // rl.num_mini_batches
        sequences, _ = sft_sequences(
            self.data.cold_start[:num],
            PromptEncoder(self.engines.base.hub, self.recipe.sampler.chat_template_kwargs),
            max_tokens=self.recipe.sampler.max_model_len,
        )
        return Batch.of(sequences)
