"""A part of a whole, as a score."""

from __future__ import annotations

import math


def share(part: float, whole: float) -> float:
    """`part / whole` in [0, 1]; 0 where either is not finite, the whole is nothing, or the part is more than rounding
    could make it: `min(1.0, nan)` is 1.0, which no score may come from.

    >>> share(1.0, 4.0), share(float("nan"), 1.0), share(2.0, 1.0)
    (0.25, 0.0, 0.0)
    """
    if not (0.0 <= part <= whole * (1 + 1e-9) < math.inf and whole > 0.0):
        return 0.0
    return min(1.0, part / whole)
