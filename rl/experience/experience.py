"""What a step of RL learns from: prompts drawn in a seeded order, their rollouts, sampled and judged."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from rl.algorithm.informative_groups import informative_groups
from rl.data.sft_rows import epochs_of
from rl.experience.judge import JudgedBatch, JudgedRollout
from rl.recipe.rl_config import RlConfig
from rl.stages.stage import StageContext
from sampler.prompt import Prompt
from verifiers.errors import HoneError


def step_draws(prompts: Sequence[Prompt], config: RlConfig, *, seed: str) -> Iterator[list[Prompt]]:
    """The prompts of a stage's steps: as many as the recipe says, or as ``rl.rollouts_per_step`` asks for."""
    if config.rollouts_per_step is None:
        return prompt_draws(prompts, config.prompts_per_step, seed=seed)
    return prompt_draws(
        prompts, config.rollouts_per_step, seed=seed, cost=lambda prompt: config.num_samples_of(prompt.kind)
    )


def prompt_draws(
    prompts: Sequence[Prompt],
    per_step: int,
    *,
    seed: str,
    without: Collection[str] = (),
    cost: Callable[[Prompt], int] = lambda _: 1,
) -> Iterator[list[Prompt]]:
    """Batches of prompts without end, each prompt once a batch: epochs in seeded order. A batch is full when its
    prompts' costs reach ``per_step``."""
    places = epochs_of(len(prompts), seed=seed)
    num_available = len(prompts) - len(without)
    while True:
        drawn: dict[str, Prompt] = {}
        total = 0
        while total < per_step and len(drawn) < num_available:
            prompt = prompts[next(places)]
            # A batch that spans two epochs may meet a prompt again.
            if prompt.prompt_id not in without and prompt.prompt_id not in drawn:
                drawn[prompt.prompt_id] = prompt
                total += cost(prompt)
        yield list(drawn.values())


def sample_step(context: StageContext, step: int, prompts: Sequence[Prompt]) -> JudgedBatch:
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
    judged = context.engines.sample_and_judge(prompts, plan)
    if not judged.rollouts:
        raise HoneError(
            "every prompt of a step is too long for sampler.max_model_len minus "
            "rl.max_response_tokens: raise the one or lower the other"
        )
    context.engines.judge.require_judged(judged.rollouts)
    return judged


def sample_informative(
    context: StageContext, step: int, prompts: Sequence[Prompt], *, seed: str
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


def kept_groups(judged: Sequence[JudgedRollout], config: RlConfig) -> list[JudgedRollout]:
    """The rollouts, undecided ones left out, of groups that carry a signal."""
    decided = [one for one in judged if one.reward.value is not None]
    informative = informative_groups(
        [one.reward.value for one in decided if one.reward.value is not None],
        [one.prompt.prompt_id for one in decided],
    )
    return [one for one in decided if one.prompt.prompt_id in informative]
