"""Ticks at round numbers, and numbers in few characters."""

from __future__ import annotations

import math


def round_ticks(low: float, high: float, max_ticks: int = 5) -> list[float]:
    """At most `max_ticks` steps of 1, 2 or 5 times a power of ten, from at or below `low` to at or above `high`.

    >>> round_ticks(0.13, 0.82)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    if not high > low:
        high = low + (abs(low) or 1.0)
    rough = (high - low) / max_ticks
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 12) if step > 1e-9 else index * step for index in range(first, last + 1)]


def short_number(value: float) -> str:
    """1,250 as 1,250, 0.125 as 0.125, 48,100 as 48.1k, 0.0000034 as 3.4e-6."""
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if size >= 1e6:
        return f"{value / 1e6:.3g}M"
    if size >= 1e4:
        return f"{value / 1e3:.3g}k"
    if size >= 100 or value == int(value):
        return f"{value:,.0f}"
    if size >= 1e-3:
        return f"{value:.3g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


def percent(value: float) -> str:
    """0.4821 as 48.2%."""
    return f"{100 * value:.1f}%"


def whole_percent(value: float) -> str:
    """0.4 as 40%: for the ticks of an axis."""
    return f"{100 * value:.0f}%"
