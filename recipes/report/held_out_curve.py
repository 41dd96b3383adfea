"""Held-out pass@1 and win rate over the stages of a run, as one curve."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from recipes.report.charts.axis import percent, whole_percent
from recipes.report.charts.curve import Curve, Series
from recipes.report.record.rates import pass_at_1, win_rate
from recipes.report.record.stage_label import evaluation_label
from rl.run.run_record import RunRecord

Json = dict[str, Any]
NUM_TONES = 6  # of question types
WIN_TONE = 7


def held_out_curve(run: RunRecord) -> Curve | None:
    """All prompts with a verifier and the win rate in bold, one line per question type; None of one evaluation."""
    evaluations = run.evaluations
    if len(evaluations) < 2:
        return None
    wins = _points(evaluations, win_rate)
    names = sorted({name for one in evaluations for name in one.get("by_tag") or {}})
    lines = [
        Series("pass@1" if wins else "all", _points(evaluations, pass_at_1), bold=True, dots=True),
        Series("win rate", wins, tone=WIN_TONE, bold=True, dots=True, dashed=True),
    ]
    lines += [
        Series(name, _tag_points(evaluations, name), tone=1 + index % NUM_TONES, dots=True)
        for index, name in enumerate(names[: 2 * NUM_TONES] if len(names) > 1 else [])
    ]
    return Curve(
        "Held-out pass@1 and win rate per stage" if wins else "Held-out pass@1 per stage",
        tuple(line for line in lines if line.points),
        x_labels=tuple((float(index), evaluation_label(one)) for index, one in enumerate(evaluations)),
        y_range=(0.0, 1.0),
        number=percent,
        tick_number=whole_percent,
        end_labels=True,
    )


def _points(
    evaluations: Sequence[Json], rate: Callable[[Json], float | None]
) -> tuple[tuple[float, float], ...]:
    values = [(float(index), rate(one)) for index, one in enumerate(evaluations)]
    return tuple((x, y) for x, y in values if y is not None)


def _tag_points(evaluations: Sequence[Json], tag: str) -> tuple[tuple[float, float], ...]:
    return _points(evaluations, lambda one: pass_at_1((one.get("by_tag") or {}).get(tag) or {}))
