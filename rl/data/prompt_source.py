"""Which prompts come next: epochs in a seeded order."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Sequence

from rl.recipe.rl_config import RlConfig
from sampler.prompt import Prompt


def epochs_of(num_items: int, *, seed: str) -> Iterator[int]:
    """Places of an endless row of epochs, each a new shuffle that hangs on the seed alone."""
    epoch = 0
    while True:
        order = list(range(num_items))
        random.Random(f"{seed} epoch {epoch}").shuffle(order)
        yield from order
        epoch += 1


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
    indices = epochs_of(len(prompts), seed=seed)
    num_available = len(prompts) - len(without)
    while True:
        drawn: dict[str, Prompt] = {}
        total = 0
        while total < per_step and len(drawn) < num_available:
            prompt = prompts[next(indices)]
            # A batch that spans two epochs may meet a prompt again.
            if prompt.prompt_id not in without and prompt.prompt_id not in drawn:
                drawn[prompt.prompt_id] = prompt
                total += cost(prompt)
        yield list(drawn.values())
