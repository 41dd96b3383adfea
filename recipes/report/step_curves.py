"""The curves of a run: what every step logged."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from recipes.report.charts.axis import percent, short_number, whole_percent
from recipes.report.charts.curve import Curve, Series
from recipes.report.record.stage_label import WORDS_OF_KIND
from rl.run.run_record import RunRecord

Json = dict[str, Any]
MIN_STEPS_TO_SMOOTH = 24


def step_curves(run: RunRecord) -> list[Curve]:
    """Rewards, response length, losses, KL, mismatch_kl and throughput over steps, as far as they were logged."""
    rl, sft, reward_model = (_lines(run, kind) for kind in ("rl", "sft", "reward-model"))
    values = [line for line in _lines(run, "critic", "rl") if "critic/explained_variance" in line["metrics"]]
    curves = [
        _reward_curve(rl),
        _curve(
            "KL of general prompts",
            rl,
            {"kind/general/kl_response_mean": "nats a response"},
            tone=5,
        ),
        _curve(
            "Explained variance of the critic",
            values,
            {"critic/explained_variance": "of the returns"},
            tone=3,
        ),
        _curve("Response length, tokens", rl, {"rollout/response_tokens_mean": "tokens"}, tone=4),
        _curve("Responses with a thought", rl, {"rollout/thought_frac": "responses"}, tone=6, is_frac=True),
        _curve("SFT loss", sft, {"train/loss": "loss"}, tone=1),
        _curve("Reward model loss", reward_model, {"train/loss": "loss"}, tone=6),
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


def _lines(run: RunRecord, *kinds: str) -> list[Json]:
    return [{"metrics": {}, **line} for line in run.metrics if line.get("kind") in kinds]


def _reward_curve(rl: Sequence[Json]) -> Curve | None:
    """By kind where a reward model judges some prompts: its probability and a verifier's score are no one scale."""
    by_kind = {
        "kind/verifiable/reward_mean": "verifiable",
        "kind/general/reward_mean": "general (probability)",
    }
    if any("kind/general/reward_mean" in line["metrics"] for line in rl):
        return _curve("Reward per RL step, by kind", rl, by_kind, tone=2)
    return _curve("Reward per RL step", rl, {"rollout/reward_mean": "reward"}, tone=2)


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
            if (value := line["metrics"].get(metric)) is not None and math.isfinite(value)
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
    """Named by what begins: a round, or a kind of stage where there are several."""
    several = len({line["kind"] for line in lines}) > 1
    starts = [
        (float(x), WORDS_OF_KIND[line["kind"]] if several else f"round {line.get('round', 0)}")
        for x, line in enumerate(lines)
        if x == 0 or line.get("stage") != lines[x - 1].get("stage")
    ]
    return tuple(starts) if len(starts) > 1 else ()
