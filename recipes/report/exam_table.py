"""What changed between evaluations beyond noise, prompt by prompt, and what drifted in how responses are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from recipes.report.drawing.curve import percent, short_number
from recipes.report.evaluation import Json, evaluation_label
from rl.run.metrics_log import stage_order
from rl.run.results.stage_result import Interval
from rl.run.run_record import RunRecord

LEAST_SHARE = 0.01  # of all letters, anywhere: random weights write a letter of every script


@dataclass(frozen=True)
class Cell:
    """Words, and whether they tell a rise or a fall that is no noise."""

    words: str = ""
    direction: str = ""


@dataclass(frozen=True)
class WordTable:
    """``rows[name][i]`` belongs to ``columns[i]``."""

    title: str
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[Cell, ...]]


def exam_tables(run: RunRecord) -> list[WordTable]:
    """Changes since the evaluation before, in points; then lengths, surprisal and scripts. Empty ones are left out."""
    return [table for table in (_changes(run), _drift(run)) if table.rows]


def _changes(run: RunRecord) -> WordTable:
    compared = {
        f"{evaluation_label(one)} since {_labels(run).get(stage, stage)}": one["changes"][stage]
        for one in run.evaluations
        if (stage := max(one.get("changes") or (), key=stage_order, default=None))
    }
    types = dict.fromkeys(name for change in compared.values() for name in change["by_type"])
    rows = {"all": tuple(_change(change["gain"]) for change in compared.values())}
    rows |= {
        name: tuple(_change(change["by_type"].get(name)) for change in compared.values())
        for name in sorted(types)
    }
    return WordTable("points, 95% interval", tuple(compared), rows if compared else {})


def _labels(run: RunRecord) -> dict[str, str]:
    return {one["stage"]: evaluation_label(one) for one in run.evaluations}


def _change(found: Json | None) -> Cell:
    if found is None:
        return Cell("–")
    interval = Interval(**found)
    return Cell(interval.in_points, "rose" if interval.low > 0 else "fell" if interval.high < 0 else "")


def _drift(run: RunRecord) -> WordTable:
    shares = [share for one in run.evaluations for share in (one.get("scripts") or {}).items()]
    scripts = dict.fromkeys(script for script, share in shares if share >= LEAST_SHARE)
    figures: dict[str, Callable[[Json], str]] = {
        "tokens a response": lambda one: _number(one.get("response_tokens_mean")),
        "surprisal, nats a token": lambda one: _number(one.get("surprisal_mean")),
    }
    if len(scripts) > 1:
        figures |= {f"{script} letters": partial(_letters, script) for script in scripts}
    written = [one for one in run.evaluations if one.get("scripts") is not None]
    rows = {name: tuple(Cell(words(one)) for one in written) for name, words in figures.items()}
    return WordTable(
        "how responses are written", tuple(map(evaluation_label, written)), rows if written else {}
    )


def _letters(script: str, evaluation: Json) -> str:
    return percent(evaluation["scripts"].get(script, 0.0))


def _number(value: float | None) -> str:
    return "–" if value is None else short_number(value)
