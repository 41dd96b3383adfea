"""The rates of one held-out evaluation: how much a verifier finds right, and how often a reward model lets it win."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from recipes.report.charts.axis import percent

Json = dict[str, Any]
REFERENCE, POLICY_BEFORE = "against_reference", "against_previous"


def pass_at_1(figures: Json) -> float | None:
    """Of a whole evaluation or one part of it; None where it had no prompt with a verifier."""
    value = figures.get("pass_at_1")
    return None if value is None or figures.get("num_prompts") == 0 else float(value)


def pass_at_k(evaluation: Json) -> tuple[str, float] | None:
    """The largest k with its pass@k, such as ("pass@4", 0.71)."""
    by_k = {int(k): value for k, value in (evaluation.get("pass_at_k") or {}).items() if value is not None}
    known = by_k and pass_at_1(evaluation) is not None
    return (f"pass@{max(by_k)}", float(by_k[max(by_k)])) if known else None


def comparisons(evaluation: Json, opponent: str = REFERENCE) -> Json:
    """What the manifest holds of the comparisons with an opponent; empty where there were none."""
    part: Json = (evaluation.get("general") or {}).get(opponent) or {}
    return part


def win_rate(evaluation: Json, opponent: str = REFERENCE) -> float | None:
    """Wins over comparisons, a tie counting half; None where nothing was compared."""
    value = comparisons(evaluation, opponent).get("win_rate")
    return None if value is None else float(value)


def win_probability(evaluation: Json) -> float | None:
    """The mean probability of winning against the reference."""
    value = comparisons(evaluation).get("win_probability")
    return None if value is None else float(value)


def rate_chains(evaluations: Sequence[Json]) -> list[str]:
    """A line for each rate that the run has: "held-out pass@1: 0.0% -> 45.2% -> 83.0%"."""
    rates: dict[str, Callable[[Json], float | None]] = {
        "held-out pass@1": pass_at_1,
        "held-out win rate against references": win_rate,
    }
    lines = []
    for name, rate in rates.items():
        known = [value for one in evaluations if (value := rate(one)) is not None]
        if known:
            lines.append(f"{name}: {' -> '.join(map(percent, known))}")
    return lines
