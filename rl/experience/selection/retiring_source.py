"""Prompts not yet mastered; the others are looked at again now and then, and come back if they are forgotten."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

import numpy as np

from rl.experience.selection.sum_tree import Floats, Indices
from rl.experience.selection.weighted_source import WeightedSource, require


@dataclass(eq=False)
class RetiringSource(WeightedSource):
    """Evenly of all prompts whose expected pass rate is below ``retire_at``.

    Some of what is mastered is forgotten while a policy learns on; reviewing 1 to 2% mends it (ReMind, 2606.03087)."""

    _: KW_ONLY
    retire_at: float = 0.9

    def __post_init__(self) -> None:
        require("retire_at", self.retire_at, 0.5 < self.retire_at <= 1, "above 0.5 and at most 1")
        super().__post_init__()

    def weights_of(self, indices: Indices) -> Floats:
        return (self.rates.of(indices).mean < self.retire_at).astype(np.float64)

    def __str__(self) -> str:
        return f"retired at a pass rate of {self.retire_at:g}, {self.review_frac:.0%} reviewed"
