"""A share with what holds it, in words."""

from __future__ import annotations

from scipy.special import betaincinv

LEVEL = 0.95


def share_words(num: float, total: float) -> str:
    """ "12% (9 to 15)": with the central 95% interval of Jeffreys' posterior, as ``sampler.store.belief`` has it."""
    if not total:
        return "–"
    tail, rest = (1 - LEVEL) / 2, total - num
    low = float(betaincinv(num + 0.5, rest + 0.5, tail)) if num > 0 else 0.0
    high = float(betaincinv(num + 0.5, rest + 0.5, 1 - tail)) if rest > 0 else 1.0
    return f"{num / total:.0%} ({100 * low:.0f} to {100 * high:.0f})"
