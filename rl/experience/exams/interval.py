"""How sure a mean over prompts is: bootstrap intervals, of one policy's figure or of the change between two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rl.run.results.stage_result import Interval

RESAMPLES, AT_ONCE = 4000, 100
LEVEL = 0.95
FEWEST = 10  # values: of fewer the bootstrap knows too little of their spread


def mean_interval(values: Sequence[float], *, level: float = LEVEL) -> Interval | None:
    """The percentile bootstrap of the mean, the same at every call.

    Expanded as Hesterberg 2015 (1411.5279, section 5.2) has it, since a plain one of few values is too narrow. One
    value a prompt, since prompts are what was drawn: the samples of one prompt are not independent. None of fewer than
    ``FEWEST`` values.
    """
    if len(values) < FEWEST:
        return None
    drawn, random = np.asarray(values, np.float64), np.random.default_rng(0)
    means = [
        drawn[random.integers(len(drawn), size=(AT_ONCE, len(drawn)))].mean(axis=1)
        for _ in range(RESAMPLES // AT_ONCE)
    ]
    tail = _expanded((1 - level) / 2, len(drawn))
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return Interval(float(drawn.mean()), float(low), float(high))


def _expanded(tail: float, num: int) -> float:
    """The tail whose normal quantile is Student's of the tail asked for, times the root of n / (n - 1)."""
    from scipy.special import ndtr, stdtrit

    return float(ndtr((num / (num - 1)) ** 0.5 * stdtrit(num - 1, tail)))


def paired_change(
    before: Mapping[str, float], after: Mapping[str, float], *, level: float = LEVEL
) -> Interval | None:
    """Mean of after minus before over the prompts that both have; pairing takes out how hard a prompt is."""
    return mean_interval([after[name] - before[name] for name in before if name in after], level=level)
