"""Ranges of two numerals: `3-5`, `10–20 km`, `from 3 to 5`."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

_NUMERAL = r"(?:\\?\$)?(\d{1,3}(?:,\d{3}){1,4}|\d{1,15}(?:\.\d{1,9})?)"
_UNIT = r"\\?%|\s?\\text\s?\{[^{}\d]{0,40}\}|\s?(?:[ckm]m|[km]?g|m[lL]|[msh])|\s[a-zA-Z]{3,20}(?: [a-zA-Z]{2,20}){0,3}|"
_RANGE = re.compile(rf"(?:from )?{_NUMERAL}(?:\\?%)?(?:\s?--?\s?| (to) ){_NUMERAL}({_UNIT})")


class Range(NamedTuple):
    """`dash` stands between the ends: a parser takes it for a minus."""

    low: Fraction
    high: Fraction
    unit: str
    dash: bool

    def same(self, other: Range) -> bool:
        """The same ends in the same order, and no two different units."""
        ends = (self.low, self.high) == (other.low, other.high)
        return ends and (self.unit == other.unit or not (self.unit and other.unit))


def number_range(notation: str) -> Range | None:
    """The range that a text in standard notation consists of; None for `2020-10-12`, `x-1`, `-3`."""
    if ("-" not in notation and " to " not in notation) or not (match := _RANGE.fullmatch(notation)):
        return None
    low, to, high, unit = match.groups()
    ends = [Fraction(end.replace(",", "")) for end in (low, high)]
    unit = "".join(unit.replace("\\text", "").strip("{}\\ ").split())
    return Range(ends[0], ends[1], unit.casefold(), to is None)
