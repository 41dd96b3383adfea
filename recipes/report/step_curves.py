"""The curves of a run: what every step logged."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from statistics import fmean

from recipes.report.drawing.curve import Curve, Link, Series
from recipes.report.evaluation import WORDS_OF_KIND, Json
from rl.run.run_record import RunRecord

MIN_STEPS_TO_SMOOTH = 24
VALIDATION = "validation/pass_at_1"  # logged of the steps of an SFT after which it samples

Points = tuple[tuple[float, float], ...]


Address = Callable[[Json], str]  # of what is behind a line of the metrics log; empty where there is nothing


def step_curves(run: RunRecord, address: Address = lambda _: "") -> list[Curve]:
    """Rewards, response length, losses, KL, mismatch_kl and throughput over steps, as far as they were logged."""
    rl, sft, reward_model = (_lines(run, kind) for kind in ("rl", "sft", "reward-model"))
    values = [line for line in _lines(run, "critic", "rl") if "critic/explained_variance" in line["metrics"]]
    throughput = {"rollout/tokens_per_s": "rollout", "train/tokens_per_s": "training"}
    curves = [
        _reward_curve(rl),
        _curve("KL of general prompts", rl, 5, {"kind/general/kl_response_mean": "nats a response"}),
        _curve(
            "Explained variance of the critic", values, 3, {"critic/explained_variance": "of the returns"}
        ),
        _curve("Response length, tokens", rl, 4, {"rollout/response_tokens_mean": "tokens"}),
        _curve("Responses with a thought", rl, 6, {"rollout/thought_frac": "responses"}, is_frac=True),
        _curve("SFT loss", sft, 1, {"train/loss": "loss"}),
        _curve("Validation in SFT, pass@1", sft, 2, {VALIDATION: "training prompts"}, is_frac=True),
        _curve(
            "Loss on RL's right rollouts",
            sft,
            4,
            {"replay/nll_before": "before SFT, nats a token", "replay/nll": "after so many steps"},
        ),
        _curve("KL in SFT to the policy before", sft, 5, {"train/ref_kl": "nats a token"}),
        _curve("Reward model loss", reward_model, 6, {"train/loss": "loss"}),
        _curve("mismatch_kl", rl, 5, {"train/mismatch_kl": "sampler against trainer"}),
        _curve("Gradient norm in RL", rl, 3, {"train/grad_norm": "norm"}),
        _curve("Entropy", rl, 4, {"train/entropy": "nats a token"}),
        _curve("Groups that teach nothing", rl, 2, {"rollout/uniform_group_frac": "groups"}, is_frac=True),
        _curve("Tokens per second", rl, 1, throughput),
    ]
    lines_of = {
        "SFT loss": sft,
        "Validation in SFT, pass@1": sft,
        "Loss on RL's right rollouts": sft,
        "KL in SFT to the policy before": sft,
        "Reward model loss": reward_model,
        "Explained variance of the critic": values,
    }
    return [
        replace(curve, links=_links(lines_of.get(curve.title, rl), address))
        for curve in curves
        if curve is not None
    ]


def _links(lines: Sequence[Json], address: Address) -> tuple[Link, ...]:
    return tuple(
        Link(float(x), f"{line.get('stage')}, step {line.get('step')}", found)
        for x, line in enumerate(lines)
        if (found := address(line))
    )


def _lines(run: RunRecord, *kinds: str) -> list[Json]:
    return [{"metrics": {}, **line} for line in run.metrics if line.get("kind") in kinds]


def _reward_curve(rl: Sequence[Json]) -> Curve | None:
    """By kind where a reward model judges some prompts: its probability and a verifier's score are no one scale."""
    by_kind = {
        "kind/verifiable/reward_mean": "verifiable",
        "kind/general/reward_mean": "general (probability)",
    }
    if any("kind/general/reward_mean" in line["metrics"] for line in rl):
        return _curve("Reward per RL step, by kind", rl, 2, by_kind)
    return _curve("Reward per RL step", rl, 2, {"rollout/reward_mean": "reward"})


def _curve(
    title: str, lines: Sequence[Json], tone: int, metrics: dict[str, str], *, is_frac: bool = False
) -> Curve | None:
    """One curve over the steps of all stages laid end to end, with a mark where each stage begins."""
    curve = Curve(
        title, (), marks=_stage_marks(lines), y_range=(0.0, 1.0) if is_frac else None, is_frac=is_frac
    )
    series: list[Series] = []
    captions = []
    for hue, (metric, name) in enumerate(metrics.items(), tone):
        logged = [(float(x), line["metrics"].get(metric)) for x, line in enumerate(lines)]
        points = tuple((x, float(y)) for x, y in logged if y is not None and math.isfinite(y))
        if not points:
            continue
        bold = len(metrics) == 1
        if len(points) < MIN_STEPS_TO_SMOOTH:
            series.append(Series(name, points, hue, bold))
        else:  # a mean over both sides of a new learning rate would be of nothing
            of_stages = groupby(points, key=lambda point: lines[int(point[0])].get("stage"))
            smooth = [Series(name, _smoothed(tuple(part)), hue, bold) for _, part in of_stages]
            series += [Series(name, points, hue, faint=True), *smooth]
        ys = [y for _, y in points]
        first, last, top = map(curve.number, (ys[0], ys[-1], max(ys)))
        captions.append(f"{name} {first} → {last}, highest {top}")
    return replace(curve, series=tuple(series), caption="; ".join(captions)) if series else None


def _smoothed(points: Points) -> Points:
    """The mean over the neighbouring tenth of a stage's steps."""
    reach = max(len(points) // 20, 1)
    near = [points[max(index - reach, 0) : index + reach + 1] for index in range(len(points))]
    return tuple((x, fmean(y for _, y in part)) for (x, _), part in zip(points, near, strict=True))


def _stage_marks(lines: Sequence[Json]) -> tuple[tuple[float, str], ...]:
    """Named by what begins: a round, or a kind of stage where there are several."""
    several = len({line["kind"] for line in lines}) > 1
    starts = [
        (float(x), WORDS_OF_KIND[line["kind"]] if several else f"round {line.get('round', 0)}")
        for x, line in enumerate(lines)
        if x == 0 or line.get("stage") != lines[x - 1].get("stage")
    ]
    return tuple(starts) if len(starts) > 1 else ()
