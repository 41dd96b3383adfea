"""Held-out pass@1 and win rates of a run: before and after as its headline, over all stages as tables and a curve."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from recipes.report.drawing.curve import Curve, Link, Series
from recipes.report.evaluation import (
    POLICY_BEFORE,
    Json,
    comparisons,
    evaluation_label,
    pass_at_1,
    win_probability,
    win_rate,
)
from rl.run.run_record import RunRecord
from verifiers.counted import counted

NUM_TONES = 6  # of question types
WIN_TONE = 7

Rate = Callable[[Json], float | None]
Bounds = tuple[float, float]


def direction_of(change: float, noise: Bounds | None) -> str:
    """`rose` or `fell`, where the 95% interval of the change was taken only beyond it; else nothing.

    >>> direction_of(0.06, None), direction_of(0.06, (-0.06, 0.2)), direction_of(-0.2, (-0.3, -0.1))
    ('rose', '', 'fell')
    """
    low, high = (change, change) if noise is None else noise
    return "rose" if low > 0 else "fell" if high < 0 else ""


@dataclass(frozen=True)
class HeadlineFigure:
    """One rate of the cold start, and of the newest policy where that has been evaluated since."""

    name: str
    measured: str
    before: float
    before_label: str
    after: float | None = None
    after_label: str = ""
    before_bounds: str = ""
    after_bounds: str = ""
    noise: Bounds | None = None

    @property
    def direction(self) -> str:
        """As ``direction_of``; nothing without a later figure."""
        return "" if self.after is None else direction_of(self.after - self.before, self.noise)

    @property
    def points(self) -> str:
        """The change in percentage points, with its 95% interval where that was taken: +42.8 (+38.0 to +47.1)."""
        if self.after is None:
            return ""
        bounds = f" ({100 * self.noise[0]:+.1f} to {100 * self.noise[1]:+.1f})" if self.noise else ""
        return f"{100 * (self.after - self.before):+.1f}{bounds}"


@dataclass(frozen=True)
class HeldOutRow:
    """`cells[i]` belongs to `HeldOutTable.columns[i]`; None where a stage did not measure it."""

    name: str
    num_prompts: int | None
    cells: tuple[float | None, ...]
    change: float | None  # last evaluation minus cold start
    bounds: tuple[str, ...] = ()  # of each cell its 95% interval, in percent; empty where it was not taken
    noise: Bounds | None = None  # the 95% interval of the change, where that was taken

    @property
    def direction(self) -> str:
        """As ``direction_of``."""
        return "" if self.change is None else direction_of(self.change, self.noise)

    @property
    def change_words(self) -> str:
        """In percentage points: +42.8."""
        return "" if self.change is None else f"{100 * self.change:+.1f}"


@dataclass(frozen=True)
class HeldOutTable:
    """One block of rows: by question type, verifier or kind, win rates, or how responses end."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[HeldOutRow, ...]


def headline(run: RunRecord) -> list[HeadlineFigure]:
    """pass@1 where there are prompts with a verifier, the win rate where there are prompts without one."""
    figures = (
        _figure(run, "held-out pass@1", pass_at_1, _pass_words),
        _figure(run, "held-out win rate", win_rate, _win_words),
    )
    return [figure for figure in figures if figure is not None]


def _figure(
    run: RunRecord,
    name: str,
    rate: Rate,
    measured: Callable[[RunRecord, Json], str],
) -> HeadlineFigure | None:
    """The rate of the cold start and of the last evaluation, of those two that have it."""
    ends = [one for one in (run.cold_start, run.final) if one is not None and rate(one) is not None]
    values = [value for one in ends if (value := rate(one)) is not None]
    if not ends:
        return None
    label = evaluation_label(ends[0]) + (" (cold start)" if ends[0].get("after") == "sft" else "")
    later = (values[1], evaluation_label(ends[1])) if ends[1:] else (None, "")
    bounds = [_bounds_words(one) if rate is pass_at_1 else "" for one in ends]
    noise = _noise(run) if rate is pass_at_1 else None
    return HeadlineFigure(
        name,
        measured(run, ends[0]),
        values[0],
        label,
        after=later[0],
        after_label=later[1],
        before_bounds=bounds[0],
        after_bounds=bounds[1] if bounds[1:] else "",
        noise=noise,
    )


def _noise(run: RunRecord, question_type: str | None = None) -> Bounds | None:
    """The 95% interval of the last policy's change since the cold start, paired by prompt, where it was taken."""
    changes = (run.final or {}).get("changes") or {}
    change = changes.get((run.cold_start or {}).get("stage")) or {}
    gain = change.get("gain") if question_type is None else (change.get("by_type") or {}).get(question_type)
    return (gain["low"], gain["high"]) if gain else None


def _pass_words(run: RunRecord, evaluation: Json) -> str:
    """How pass@1 was taken, as far as the manifest and the recipe say."""
    num_samples, temperature = evaluation.get("samples_per_prompt"), run.evaluation_setting("temperature")
    heat = f" at temperature {temperature:g}" if temperature is not None else ""
    samples = f", the mean of {counted(num_samples, 'response')} each{heat}" if num_samples else ""
    return f"pass@1 on {_prompts(evaluation)}{samples}; a judge sees the final answer only."


def _win_words(run: RunRecord, evaluation: Json) -> str:
    """How the win rate was taken; a reader must know that the judge is the one RL was rewarded by."""
    part = comparisons(evaluation)
    failed = f" ({part['num_failed']:,} not judged)" if part.get("num_failed") else ""
    answers, prompts = (
        counted(part.get("num_comparisons", 0), "answer"),
        _prompts(evaluation.get("general") or {}),
    )
    return (
        f"win rate of {answers}{failed} to {prompts} that no verifier judges, against "
        "the prompt's reference; 50% is parity. The judge is the reward model that RL is rewarded by."
    )


def _prompts(figures: Json) -> str:
    num_prompts = figures.get("num_prompts")
    return counted(num_prompts, "held-out prompt") if num_prompts else "held-out prompts"


def held_out_tables(run: RunRecord) -> list[HeldOutTable]:
    """Question types first, under a row for all prompts; then verifiers, kinds, win rates, endings."""
    blocks = _pass_blocks(run) if any(pass_at_1(one) is not None for one in run.evaluations) else {}
    blocks |= {"win rate": _win_rows(run), "how responses end": _endings(run)}
    columns = tuple(map(evaluation_label, run.evaluations))
    return [HeldOutTable(title, columns, tuple(rows)) for title, rows in blocks.items() if rows]


def held_out_curve(run: RunRecord, address: Callable[[Json], str] = lambda _: "") -> Curve | None:
    """All prompts with a verifier and the win rate in bold, one line per question type; None of one evaluation."""
    if len(run.evaluations) < 2:
        return None
    wins = _points(run, win_rate)
    names = sorted(_names(run, "by_tag"))
    lines = [
        Series(
            "pass@1" if wins else "all", _points(run, pass_at_1), bold=True, dots=True, bounds=_bounds(run)
        ),
        Series("win rate", wins, tone=WIN_TONE, bold=True, dots=True, dashed=True),
    ]
    lines += [
        Series(name, _points(run, partial(_tag_rate, tag=name)), tone=1 + index % NUM_TONES, dots=True)
        for index, name in enumerate(names[: 2 * NUM_TONES] if len(names) > 1 else [])
    ]
    return Curve(
        "Held-out pass@1 and win rate per stage" if wins else "Held-out pass@1 per stage",
        tuple(line for line in lines if line.points),
        x_labels=tuple((float(x), evaluation_label(one)) for x, one in enumerate(run.evaluations)),
        y_range=(0.0, 1.0),
        is_frac=True,
        end_labels=True,
        links=tuple(
            Link(float(x), evaluation_label(one), found)
            for x, one in enumerate(run.evaluations)
            if (found := address(one))
        ),
    )


def _bounds(run: RunRecord) -> tuple[tuple[float, float, float], ...]:
    """The 95% intervals of pass@1, where they were taken."""
    found = ((float(x), one.get("pass_at_1_interval")) for x, one in enumerate(run.evaluations))
    return tuple((x, interval["low"], interval["high"]) for x, interval in found if interval)


def _points(run: RunRecord, rate: Rate) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), y) for x, one in enumerate(run.evaluations) if (y := rate(one)) is not None)


def _pass_blocks(run: RunRecord) -> dict[str, list[HeldOutRow]]:
    """pass@1 by question type under a row for all; by verifier and by kind where there are several."""
    blocks = {}
    for title, field in (("question type", "by_tag"), ("verifier", "by_verifier"), ("kind", "by_kind")):
        rows = [_pass_row(run, name, partial(_part, field=field, name=name)) for name in _names(run, field)]
        if field == "by_tag":
            every = replace(_pass_row(run, "all", lambda evaluation: evaluation), noise=_noise(run))
            rows = [every, *(replace(row, noise=_noise(run, row.name)) for row in rows)]
        if field == "by_tag" or len(rows) > 1:
            blocks[title] = rows
    return blocks


def _pass_row(run: RunRecord, name: str, part: Callable[[Json], Json]) -> HeldOutRow:
    counts = [part(one).get("num_prompts") for one in run.evaluations]
    row = _row(run, name, lambda one: pass_at_1(part(one)), counts)
    return replace(row, bounds=tuple(_bounds_words(part(one)) for one in run.evaluations))


def _bounds_words(figures: Json) -> str:
    interval = figures.get("pass_at_1_interval")
    return f"{100 * interval['low']:.0f}–{100 * interval['high']:.0f}" if interval else ""


def _win_rows(run: RunRecord) -> list[HeldOutRow]:
    """The policy before is another one in every column: a change from the first to the last would say nothing."""
    counts = [(one.get("general") or {}).get("num_prompts") for one in run.evaluations]
    before = _row(run, "against the policy before", partial(win_rate, opponent=POLICY_BEFORE))
    rows = [
        _row(run, "against the reference", win_rate, counts),
        _row(run, "mean probability", win_probability),
        replace(before, change=None),
    ]
    return [row for row in rows if any(cell is not None for cell in row.cells)]


def _endings(run: RunRecord) -> list[HeldOutRow]:
    """Which part of the responses has a final answer, and which lacks one, by name."""

    def share(evaluation: Json, name: str) -> float | None:
        statuses = evaluation.get("answer_status")
        return float(statuses.get(name, 0.0)) if statuses else None

    return [
        _row(run, "a final answer" if name == "ok" else name.replace("_", " "), partial(share, name=name))
        for name in sorted(_names(run, "answer_status"), key=lambda name: (name != "ok", name))
    ]


def _row(run: RunRecord, name: str, rate: Rate, counts: Sequence[int | None] = ()) -> HeldOutRow:
    before, after = (None if one is None else rate(one) for one in (run.cold_start, run.final))
    change = None if before is None or after is None else after - before
    return HeldOutRow(name, next(filter(None, counts), None), tuple(map(rate, run.evaluations)), change)


def _part(evaluation: Json, field: str, name: str) -> Json:
    part: Json = (evaluation.get(field) or {}).get(name) or {}
    return part


def _tag_rate(evaluation: Json, tag: str) -> float | None:
    return pass_at_1(_part(evaluation, "by_tag", tag))


def _names(run: RunRecord, field: str) -> list[str]:
    return list(dict.fromkeys(name for evaluation in run.evaluations for name in evaluation.get(field) or {}))
