"""Options of the comparison of mathematical answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class MathOptions:
    """tolerance    `digits`: a decimal reference accepts what rounds to it (see `scalar_equality`), an exact one its
                 rounding to six digits or more; `exact`: no tolerance; a number: that relative tolerance
    percent      `lenient`: 50%, 50 and 0.5 are written for one another (a plain reference of at most 1 is never
                 matched by its number with a percent sign); `strict`: 50% is 0.5 only
    units        `lenient`: a unit may be missing on either side, two units must agree (converted within a
                 dimension); `strict`: a unit in the reference must be there; `ignore`: units are dropped
    order        `auto`: bare lists and sets in any order, tuples in order; `strict`: lists in order too
    reduced      True: a fraction must be in lowest terms and nothing left to compute
    plus_minus   `expand`: +-2 is the two answers 2 and -2; `symbol`: it must be written with the sign
    """

    tolerance: Literal["digits", "exact"] | float = "digits"
    percent: Literal["lenient", "strict"] = "lenient"
    units: Literal["lenient", "strict", "ignore"] = "lenient"
    order: Literal["auto", "strict"] = "auto"
    reduced: bool = False
    plus_minus: Literal["expand", "symbol"] = "expand"

    def __post_init__(self) -> None:
        if not isinstance(self.tolerance, str) and not 0 <= self.tolerance < 1:
            raise ValueError(f"tolerance is `digits`, `exact` or a number in [0, 1), got {self.tolerance}")
