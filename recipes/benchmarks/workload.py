"""What the benchmarks measure on: a recipe's data and tiny model in a scratch directory, and a Ray of their own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from rl.data.batch import TrainBatch
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
        from rl.data.run_data import build_data, load
        from rl.families.checkpoint_check import forbidden_token_ids
        from rl.families.family import load_family
        from rl.run.ray_session import ray_for
        from rl.stages.prepare import base_policy

        scratch = stack.enter_context(scratch_with_logs("hone-bench-"))
        self.log_dir = scratch / "logs"
        self._terminal = stack.enter_context(command_log(self.log_dir / "driver.log"))
        self.data = load(build_data(self.recipe, scratch), scratch)
        self.model_path = base_policy(self.recipe, scratch, self.data).hub
        rl = self.recipe.rl
        self.prompts: Sequence[Prompt] = self.data.train[: rl.prompts_per_step]
        self.plan = SamplingPlan(
            num_samples=rl.samples_per_prompt,
            max_response_tokens=rl.max_response_tokens,
            run_seed=self.recipe.seed,
            step=0,
            forbidden_token_ids=forbidden_token_ids(self.model_path, load_family(self.recipe.model.family)),
        )
        stack.enter_context(ray_for(self.recipe))

    def say(self, words: str) -> None:
        """To the terminal, past the log that standard output goes to."""
        print(words, file=self._terminal, flush=True)

    def sft_batch(self) -> TrainBatch:
        """As many supervised sequences as an RL step trains on in one mini-batch."""
        from rl.data.prompt_encoder import PromptEncoder
        from rl.data.sft_batches import sft_sequences

        rl = self.recipe.rl
        num = rl.prompts_per_step * rl.samples_per_prompt // rl.num_mini_batches
        sequences, _ = sft_sequences(
            self.data.cold_start[:num],
            PromptEncoder(self.model_path, self.recipe.sampler.chat_template_kwargs),
            max_tokens=self.recipe.sampler.max_model_len,
        )
        return TrainBatch.of(sequences)
