"""Prompts whose pass rate may lie in a band: neither surely easier nor surely harder."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

import numpy as np

from rl.experience.selection.sum_tree import Floats, Indices
from rl.experience.selection.weighted_source import WeightedSource, require


@dataclass(eq=False)
class BandSource(WeightedSource):
    """Evenly of all prompts but those whose pass rate is surely below ``low`` or surely above ``high``: where the 90%
    interval reaches into the band, more is to be seen. So an untried prompt is in."""

    _: KW_ONLY
    low: float = 0.1
    high: float = 0.75

    def __post_init__(self) -> None:
        require("low", self.low, 0 <= self.low < self.high, "at least 0 and below high")
        require("high", self.high, self.high <= 1, "at most 1")
        super().__post_init__()

    def weights_of(self, indices: Indices) -> Floats:
        low, high = self.rates.of(indices).interval()
        return ((high >= self.low) & (low <= self.high)).astype(np.float64)

    def __str__(self) -> str:
        return f"pass rates from {self.low:g} to {self.high:g}"
