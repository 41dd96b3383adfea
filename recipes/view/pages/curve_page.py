"""A run's stages and curves, each point of which leads to the rollouts behind it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from recipes.report.drawing.curve import Curve
from recipes.report.evaluation import Json, evaluation_label, pass_at_1, win_rate
from recipes.report.held_out import held_out_curve
from recipes.report.step_curves import VALIDATION, step_curves
from recipes.view.place import Place
from rl.run.progress import duration_words
from rl.run.results.stage_result import Interval


@dataclass(frozen=True)
class StageLine:
    """One stage: what it was, how long it took, what its policy scored. ``address`` is empty where nothing was
    sampled."""

    stage: str
    title: str
    wall: str
    rate: float | None
    interval: Interval | None
    version: int | None
    address: str
    best: bool


@dataclass(frozen=True)
class CurvePage:
    """``held_out`` is none of fewer than two evaluations."""

    stages: list[StageLine]
    held_out: Curve | None
    curves: list[Curve]
    warnings: list[str]
    under_way: list[str]


def curve_page(place: Place) -> CurvePage | None:
    """None of a prompt file."""
    run = place.run
    if run is None:
        return None
    sampled = {folder.name for folder in (place.path / "rollouts").glob("*") if folder.is_dir()}

    def of_line(line: Json) -> str:
        if str(line.get("stage")) not in sampled or not _has_sampled(line):
            return ""
        return "/rollouts?" + urlencode(
            {"run": place.name, "stage": line["stage"], "step": line.get("step", 0)}
        )

    def of_stage(one: Json) -> str:
        stage = str(one.get("stage"))
        return "/rollouts?" + urlencode({"run": place.name, "stage": stage}) if stage in sampled else ""

    evaluations = {str(one["stage"]): one for one in run.evaluations}
    stages = [_line(one, evaluations.get(str(one["stage"])), of_stage(one), place) for one in run.manifests]
    curves = step_curves(run, of_line)
    return CurvePage(stages, held_out_curve(run, of_stage), curves, run.warnings, run.under_way)


def _has_sampled(line: Json) -> bool:
    """An SFT samples at the steps after which it is validated alone."""
    return line.get("kind") != "sft" or VALIDATION in (line.get("metrics") or {})


def _line(manifest: Json, evaluation: Json | None, address: str, place: Place) -> StageLine:
    stage = str(manifest["stage"])
    rate = None if evaluation is None else pass_at_1(evaluation)
    if evaluation is not None and rate is None:
        rate = win_rate(evaluation)
    interval = (evaluation or {}).get("pass_at_1_interval")
    return StageLine(
        stage,
        evaluation_label(evaluation) if evaluation else str(manifest.get("title") or stage),
        duration_words(float(manifest.get("wall_s") or 0.0)),
        rate,
        Interval(**interval) if interval else None,
        (evaluation or {}).get("policy_version"),
        address,
        place.best is not None and place.best.get("stage") == stage,
    )
