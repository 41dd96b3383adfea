"""Groups whose answer seems settled are cut short without bias: a first part of each group is drawn, and where its
rewards are all alike, the rest is drawn with a probability q alone, and then stands for 1 / q groups.

A cut group has no gradient, and E[1 / q] over the coin is 1: the expected gradient is that of whole groups, whatever
the rewards, the estimator and the policy are (Horvitz and Thompson, JASA 47, 1952). Without the coin (q = 0) it is not:
with rewards 0 and 1 every prompt's gradient keeps its direction, but its weight falls by up to (n - k) / n as the
prompt nears all right or all wrong, and with graded rewards the direction changes too. A test counts all of it out.

Losses are divided by the tokens or sequences of a step. These are counted on the first parts alone, n / k for each: in
expectation those of whole groups, whatever was drawn after them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rl.recipe.rl_config import RlConfig
from sampler.prompt import Prompt
from sampler.rollout import SamplingPlan

# Advantages that depend on the rewards of one group alone, and are 0 where these are equal.
OF_ITS_GROUP = frozenset({"grpo", "grpo_vectorized", "rloo", "rloo_vectorized"})


@dataclass(frozen=True)
class Share:
    """What a rollout is worth: its advantage is multiplied by ``weight``, its tokens and itself count ``count``."""

    weight: float = 1.0
    count: float = 1.0


def is_cut_short(config: RlConfig, prompt: Prompt) -> bool:
    """Whether a prompt is drawn in two parts."""
    return config.settled_after is not None and prompt.kind == "verifiable"


def goes_on(rewards: Sequence[float | None], frac: float, coin: float) -> bool:
    """Whether the rest of a group is drawn, by the rewards of its first part and a number in [0, 1) that depends on
    nothing that was sampled.

    >>> goes_on([1, 0], 0.25, 0.9), goes_on([1, 1], 0.25, 0.9), goes_on([1, 1], 0.25, 0.2)
    (True, False, True)
    """
    return len(set(rewards)) > 1 or coin < frac


def coin_of(plan: SamplingPlan, prompt: Prompt) -> float:
    """In [0, 1), of the run's seed, step and prompt: the same when the step is done again."""
    seed = plan.seed_for(prompt.prompt_id, -1)  # no rollout's
    return float(np.random.default_rng(seed).random())


def shares_of(first: Sequence[float | None], num_samples: int, num_drawn: int, frac: float) -> list[Share]:
    """Of the rollouts of a group that was drawn in two parts, in their order. ``first`` are the rewards of its first
    part; ``num_drawn`` of ``num_samples`` are there."""
    settled = len(set(first)) == 1
    weight = 1.0 if not settled else 1.0 / frac if num_drawn > len(first) else 0.0
    count = num_samples / len(first)
    return [Share(weight, count if index < len(first) else 0.0) for index in range(num_drawn)]
