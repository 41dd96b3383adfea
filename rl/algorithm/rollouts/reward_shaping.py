"""From a judge's score to the reward that is learnt from: a weight, and penalties by name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rl.recipe.rl_config import RlConfig


@dataclass(frozen=True)
class LearntReward:
    """weight x score, and what each penalty adds (0 or less), by name.

    >>> LearntReward(0.5, weight=2.0, penalties={"overlong": -0.25}).value
    0.75
    """

    score: float
    weight: float = 1.0
    penalties: Mapping[str, float] = field(default_factory=dict)

    @property
    def value(self) -> float:
        return sum(self.penalties.values(), self.weight * self.score)

    @property
    def parts(self) -> dict[str, float]:
        return {"weight": self.weight, **self.penalties}


def overlong_penalty(num_tokens: int, *, max_tokens: int, cache_tokens: int) -> float:
    """0 up to max - cache tokens, then down a line to -1 at max (DAPO, 2503.14476, equation 13). No cache: always 0.

    >>> [overlong_penalty(n, max_tokens=100, cache_tokens=20) for n in (80, 90, 100)]
    [0.0, -0.5, -1.0]
    """
    if not cache_tokens:
        return 0.0
    return min(0.0, max(-1.0, (max_tokens - cache_tokens - num_tokens) / cache_tokens))


def token_budget(
    scores: Sequence[float], lengths: Sequence[int], *, min_pass_frac: float, quantile: float
) -> int | None:
    """How many tokens a response of the group may have without a penalty; None where the group is not good enough.

    Where the mean score reaches ``min_pass_frac``, it is the ``quantile`` of the lengths of the right responses (score
    1). After Toggle of Kimi K2.5 (arXiv 2602.02276); the lengths are the group's own, so the budget follows the policy.

    >>> token_budget([1, 1, 1, 0], [10, 30, 20, 90], min_pass_frac=0.75, quantile=0.5)
    20
    >>> token_budget([1, 0], [10, 90], min_pass_frac=0.75, quantile=0.5)
    """
    right = sorted(length for score, length in zip(scores, lengths, strict=True) if score >= 1.0)
    if not right or sum(scores) < min_pass_frac * len(scores):
        return None
    return right[max(0, math.ceil(quantile * len(right)) - 1)]


def reward_weight(weights: Mapping[str, float], *, kind: str, verifier: str | None) -> float:
    """The weight of a prompt's score: its verifier's, else its kind's, else 1.

    >>> reward_weight({"math": 0.5, "verifiable": 2.0}, kind="verifiable", verifier="math")
    0.5
    """
    by_kind = weights.get(kind, 1.0)
    return by_kind if verifier is None else weights.get(verifier, by_kind)


def reward_range(config: RlConfig, *, kind: str, verifier: str | None) -> tuple[float, float]:
    """Least and greatest reward that is learnt from, of a prompt of that kind whose judge gives 0 to 1.

    >>> reward_range(RlConfig(unparseable_penalty=0.1), kind="verifiable", verifier="math")
    (-0.1, 1.0)
    """
    weight = reward_weight(config.reward_weights, kind=kind, verifier=verifier)
    penalties = config.unparseable_penalty if verifier is not None else 0.0
    penalties += 1.0 if config.overlong_cache_tokens else 0.0
    penalties += config.language_mixing_penalty + config.repetition_penalty
    return min(0.0, weight) - penalties, max(0.0, weight)
