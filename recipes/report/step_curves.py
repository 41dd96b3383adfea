"""The curves of a run: held-out pass@1 over its stages, and what every step logged."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from recipes.report.axis import percent, short_number, whole_percent
from recipes.report.curve import Curve, Series
from recipes.report.run_record import RunRecord, evaluation_label

Json = dict[str, Any]
NUM_TONES = 6
MIN_STEPS_TO_SMOOTH = 24


def pass_curve(run: RunRecord) -> Curve | None:
    """Held-out pass@1 of every evaluation: all prompts in bold, one line per question type."""
    evaluations = run.evaluations
    if len(evaluations) < 2:
        return None
    names = sorted({name for evaluation in evaluations for name in evaluation.get("by_tag") or {}})
    lines = [Series("all", _points(evaluations, None), bold=True, dots=True)]
    lines += [
        Series(name, _points(evaluations, name), tone=1 + index % NUM_TONES, dots=True)
        for index, name in enumerate(names[: 2 * NUM_TONES] if len(names) > 1 else [])
    ]
    labels = tuple((float(index), evaluation_label(one)) for index, one in enumerate(evaluations))
    return Curve(
        "Held-out pass@1 per stage",
        tuple(line for line in lines if line.points),
        x_labels=labels,
        y_range=(0.0, 1.0),
        number=percent,
        tick_number=whole_percent,
        end_labels=True,
    )


def _points(evaluations: Sequence[Json], tag: str | None) -> tuple[tuple[float, float], ...]:
    parts = [one if tag is None else (one.get("by_tag") or {}).get(tag) or {} for one in evaluations]
    values = [(float(index), part.get("pass_at_1")) for index, part in enumerate(parts)]
    return tuple((x, float(y)) for x, y in values if y is not None)


def step_curves(run: RunRecord) -> list[Curve]:
    """Reward, response length, losses, mismatch_kl and throughput over steps, as far as they were logged."""
    rl, sft = ([line for line in run.metrics if line.get("kind") == kind] for kind in ("rl", "sft"))
    curves = [
        _curve("Reward per RL step", rl, {"rollout/reward_mean": "reward"}, tone=2),
        _curve("Response length, tokens", rl, {"rollout/response_tokens_mean": "tokens"}, tone=4),
        _curve("Responses with a thought", rl, {"rollout/thought_frac": "responses"}, tone=6, is_frac=True),
        _curve("SFT loss", sft, {"train/loss": "loss"}, tone=1),
        _curve("mismatch_kl", rl, {"train/mismatch_kl": "sampler against trainer"}, tone=5),
        _curve("Gradient norm in RL", rl, {"train/grad_norm": "norm"}, tone=3),
        _curve("Entropy", rl, {"train/entropy": "nats a token"}, tone=4),
        _curve(
            "Groups without signal",
            rl,
            {"rollout/uniform_group_frac": "groups"},
            tone=2,
            is_frac=True,
        ),
        _curve(
            "Tokens per second",
            rl,
            {"rollout/tokens_per_s": "rollout", "train/tokens_per_s": "training"},
            tone=1,
        ),
    ]
    return [curve for curve in curves if curve is not None]


def _curve(
    title: str, lines: Sequence[Json], metrics: dict[str, str], *, tone: int, is_frac: bool = False
) -> Curve | None:
    """One curve over the steps of all stages laid end to end, with a mark where each stage begins."""
    number, tick_number = (percent, whole_percent) if is_frac else (short_number, short_number)
    series: list[Series] = []
    captions = []
    for index, (metric, name) in enumerate(metrics.items()):
        points = tuple(
            (float(x), float(value))
            for x, line in enumerate(lines)
            if (value := (line.get("metrics") or {}).get(metric)) is not None and math.isfinite(value)
        )
        if not points:
            continue
        bold = len(metrics) == 1
        if len(points) < MIN_STEPS_TO_SMOOTH:
            series.append(Series(name, points, tone=tone + index, bold=bold))
        else:
            series.append(Series(name, points, tone=tone + index, faint=True))
            parts = _stage_parts(points, lines)
            series += [Series(name, _smoothed(part), tone=tone + index, bold=bold) for part in parts]
        captions.append(_caption(name, [y for _, y in points], number))
    if not series:
        return None
    return Curve(
        title,
        tuple(series),
        marks=_stage_marks(lines),
        y_range=(0.0, 1.0) if is_frac else None,
        tick_number=tick_number,
        caption="; ".join(captions),
    )


def _caption(name: str, values: Sequence[float], number: Callable[[float], str]) -> str:
    first, last, top = (number(value) for value in (values[0], values[-1], max(values)))
    return f"{name} {first} → {last}, highest {top}"


def _smoothed(points: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """The mean over the neighbouring tenth of a stage's steps."""
    reach = max(len(points) // 20, 1)
    smooth = []
    for index, (x, _) in enumerate(points):
        near = [y for _, y in points[max(index - reach, 0) : index + reach + 1]]
        smooth.append((x, sum(near) / len(near)))
    return tuple(smooth)


def _stage_parts(
    points: Sequence[tuple[float, float]], lines: Sequence[Json]
) -> list[list[tuple[float, float]]]:
    """The points cut where a stage begins: a mean over both sides of a new learning rate would be of nothing."""
    parts: dict[str, list[tuple[float, float]]] = {}
    for x, y in points:
        parts.setdefault(str(lines[int(x)].get("stage")), []).append((x, y))
    return list(parts.values())


def _stage_marks(lines: Sequence[Json]) -> tuple[tuple[float, str], ...]:
    starts = [
        (float(x), f"round {line.get('round', 0)}")
        for x, line in enumerate(lines)
        if x == 0 or line.get("stage") != lines[x - 1].get("stage")
    ]
    return tuple(starts) if len(starts) > 1 else ()
