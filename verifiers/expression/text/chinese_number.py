"""Fractions and percentages in Chinese numerals: 五分之三, 百分之五十, 3又2分之1 stays as it is."""

from __future__ import annotations

import re

_DIGITS = {char: value for value, char in enumerate("零一二三四五六七八九")} | {"两": 2, "〇": 0}
_PLACES = {"十": 10, "百": 100, "千": 1000}
_NUMERAL = r"(\d{1,9}(?:\.\d{1,9})?|[零〇一二两三四五六七八九十百千]{1,9})"
_FRACTION = re.compile(f"{_NUMERAL}分之{_NUMERAL}", re.ASCII)


def with_chinese_fractions(text: str) -> str:
    """`text` with 五分之三 as `\\frac{3}{5}` and 百分之五十 as `50\\%`."""
    return _FRACTION.sub(_fraction, text) if "分之" in text else text


def _fraction(match: re.Match[str]) -> str:
    below, above = match.groups()
    if below == "百":
        return f"{_value(above)}\\%"
    return f"\\frac{{{_value(above)}}}{{{_value(below)}}}"


def _value(numeral: str) -> str:
    """`二十五` is 25; digits stay."""
    if numeral[0].isascii():
        return numeral
    total, digit = 0, None
    for char in numeral:
        if char in _PLACES:
            total += (1 if digit is None else digit) * _PLACES[char]
            digit = None
        else:
            digit = _DIGITS[char]
    return str(total + (digit or 0))
