"""What a step of RL learns from: prompts drawn in a seeded order, their rollouts, sampled and judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from rl.data.prompt_source import prompt_draws
from rl.experience.judge import JudgedBatch, JudgedRollout
from rl.experience.training_batch import kept_groups
from rl.recipe.recipe import Recipe
from sampler.prompt import Prompt
from verifiers.errors import HoneError


class Surroundings(Protocol):
    """What of a stage's surroundings sampling looks at."""

    @property
    def recipe(self) -> Recipe: ...
    @property
    def engines(self) -> Any: ...
    @property
    def data(self) -> Any: ...
    @property
    def directory(self) -> Any: ...


def sample_step(context: Surroundings, step: int, prompts: Sequence[Prompt]) -> JudgedBatch:
    """One step's rollouts, judged. Raises: HoneError when none of the prompts fits the model's length, or too many
    rollouts could not be judged."""
    config = context.recipe.rl
    plan = context.engines.plan(
        stage=context.directory.name,
        step=step,
        num_samples=config.samples_per_prompt,
        num_samples_by_kind={"general": config.samples_per_general_prompt},
        max_response_tokens=config.max_response_tokens,
        temperature=config.temperature,
        top_p=config.top_p,
    )
    judged: JudgedBatch = context.engines.sample_and_judge(prompts, plan)
    if not judged.rollouts:
        raise HoneError(
            "every prompt of a step is too long for sampler.max_model_len minus "
            "rl.max_response_tokens: raise the one or lower the other"
        )
    context.engines.judge.require_judged(judged.rollouts)
    return judged


def sample_informative(
    context: Surroundings, step: int, prompts: Sequence[Prompt], *, seed: str
) -> tuple[JudgedBatch, list[JudgedRollout]]:
    """Dynamic sampling (DAPO, 2503.14476, section 3.2): groups whose rewards are all alike teach nothing, so other
    prompts are drawn in their place, at most ``rl.max_refills`` times; then the step goes on with what there is.

    Returns all that was sampled, for the log, and the rollouts of the groups that are kept. The prompts of a refill
    hang on ``seed`` and the step alone, so a resumed run draws them again.
    """
    config = context.recipe.rl
    sampled = sample_step(context, step, prompts)
    everything = sampled
    kept = kept_groups(everything.rollouts, config)
    tried = {prompt.prompt_id for prompt in prompts}
    for refill in range(config.max_refills):
        missing = len(prompts) - len({one.prompt.prompt_id for one in kept})
        if missing <= 0 or len(tried) >= len(context.data.train):
            break
        draws = prompt_draws(
            context.data.train, missing, seed=f"{seed} step {step} refill {refill}", without=tried
        )
        more = next(draws)
        tried |= {prompt.prompt_id for prompt in more}
        sampled = sample_step(context, step, more)
        everything = everything.joined(sampled)
        kept += kept_groups(sampled.rollouts, config)
    return everything, kept
