"""One held-out evaluation as a manifest has it: what it is called, its rates, and which policy it was of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Json = dict[str, Any]
REFERENCE, POLICY_BEFORE = "against_reference", "against_previous"
WORDS_OF_KIND = {
    "sft": "SFT",
    "reward-model": "reward model",
    "critic": "critic",
    "rl": "RL",
    "harvest": "harvest",
}


def evaluation_label(evaluation: Json) -> str:
    """Which policy was evaluated, in a few words: "start", "round 0 SFT", "round 1 RL"."""
    after = str(evaluation.get("after"))
    if after == "start":
        return "start"
    return f"round {evaluation.get('round', 0)} {WORDS_OF_KIND.get(after, 'evaluate')}"


def pass_at_1(figures: Json) -> float | None:
    """Of a whole evaluation or one part of it; None where it had no prompt with a verifier."""
    return None if figures.get("num_prompts") == 0 else _number(figures.get("pass_at_1"))


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
    return _number(comparisons(evaluation, opponent).get("win_rate"))


def win_probability(evaluation: Json) -> float | None:
    """The mean probability of winning against the reference."""
    return _number(comparisons(evaluation).get("win_probability"))


def rate_chains(evaluations: Sequence[Json]) -> list[str]:
    """A line for each rate that the run has: "held-out pass@1: 0.0% -> 45.2% -> 83.0%"."""
    rates: dict[str, Callable[[Json], float | None]] = {
        "held-out pass@1": pass_at_1,
        "held-out win rate against references": win_rate,
    }
    known = {
        name: [f"{of:.1%}" for one in evaluations if (of := rate(one)) is not None]
        for name, rate in rates.items()
    }
    return [f"{name}: {' -> '.join(values)}" for name, values in known.items() if values]


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
