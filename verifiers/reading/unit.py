"""Units of measurement through pint. Building its registry takes seconds, so this module is imported where units are
converted and nowhere else."""

from __future__ import annotations

import functools
import re
from fractions import Fraction
from typing import Any

import pint

MAX_UNIT_CHARS = 40
# pint's parser reads a small grammar of names, products and powers; anything else is refused before it is asked.
_UNIT_TEXT = re.compile(
    r"[A-Za-zµμ°Ω%][A-Za-zµμ°Ω _]*(?:(?:\s*[*/·⋅]\s*|\s+)?(?:[A-Za-zµμ°Ω_]+|\^-?[0-9])){0,8}"
)
_NAMES = {"°c": "degC", "°f": "degF", "celsius": "degC", "fahrenheit": "degF", "°": "degree", "µm": "micrometer",
          "l": "liter", "sec": "second", "secs": "second", "hrs": "hour", "mins": "minute", "yrs": "year",
          "mph": "mile/hour", "kph": "kilometer/hour", "kmph": "kilometer/hour"}  # fmt: skip


_REGISTRY: Any = pint.UnitRegistry(non_int_type=Fraction, cache_folder=None)


@functools.lru_cache(maxsize=1024)
def parse_unit(text: str) -> Any | None:
    """A pint unit, or None when the text is none. Never raises on model text."""
    cleaned = text.strip().strip(".").replace("·", "*").replace("⋅", "*").replace("μ", "µ")
    cleaned = _NAMES.get(cleaned.lower(), cleaned)
    if len(cleaned) > MAX_UNIT_CHARS or not _UNIT_TEXT.fullmatch(cleaned):
        return None
    try:
        return _REGISTRY.Unit(re.sub(r"\bper\b", "/", cleaned))
    except Exception:  # noqa: BLE001 - pint raises many kinds, from tokenizer errors to AttributeError
        return None


def conversion(found: str, wanted: str, value: Fraction) -> Fraction | None:
    """`value` in unit `found`, expressed in unit `wanted`; None when a unit is unknown or dimensions differ."""
    source, target = parse_unit(found), parse_unit(wanted)
    if source is None or target is None:
        return None
    if source == target:
        return value
    try:
        converted = _REGISTRY.Quantity(value, source).to(target).magnitude
    except Exception:  # noqa: BLE001 - dimensionality, offset and undefined-unit errors share no base
        return None
    return (
        Fraction(converted).limit_denominator(10**15) if isinstance(converted, float) else Fraction(converted)
    )
