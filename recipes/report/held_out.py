"""The before/after tables: held-out pass@1 per question type and win rates over the stages of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from recipes.report.record.rates import POLICY_BEFORE, pass_at_1, win_probability, win_rate
from recipes.report.record.stage_label import evaluation_label
from rl.run.run_record import RunRecord

Json = dict[str, Any]


@dataclass(frozen=True)
class HeldOutRow:
    """`cells[i]` belongs to `HeldOutTable.columns[i]`; None where a stage did not measure it."""

    name: str
    num_prompts: int | None
    cells: tuple[float | None, ...]
    change: float | None  # last evaluation minus cold start

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


def held_out_tables(run: RunRecord) -> list[HeldOutTable]:
    """Question types first, under a row for all prompts; then verifiers, kinds, win rates, endings."""
    evaluations = run.evaluations
    blocks = _pass_blocks(run) if any(pass_at_1(one) is not None for one in evaluations) else {}
    blocks["win rate"] = _win_rows(run)
    blocks["how responses end"] = _endings(run)
    return [_table(title, evaluations, rows) for title, rows in blocks.items() if rows]


def _pass_blocks(run: RunRecord) -> dict[str, list[HeldOutRow]]:
    blocks = {}
    for title, field in (("question type", "by_tag"), ("verifier", "by_verifier"), ("kind", "by_kind")):
        rows = [_pass_row(run, name, field) for name in _parts(run.evaluations, field)]
        if title == "question type":
            rows = [_pass_row(run, "all", None), *rows]
        elif len(rows) < 2:
            continue
        blocks[title] = rows
    return blocks


def _win_rows(run: RunRecord) -> list[HeldOutRow]:
    """The policy before is another one in every column: a change from the first to the last would say nothing."""
    counts = [(one.get("general") or {}).get("num_prompts") for one in run.evaluations]
    rows = [
        _row(run, "against the reference", win_rate, counts),
        _row(run, "mean probability", win_probability),
        replace(
            _row(run, "against the policy before", partial(win_rate, opponent=POLICY_BEFORE)), change=None
        ),
    ]
    return [row for row in rows if any(cell is not None for cell in row.cells)]


def _table(title: str, evaluations: list[Json], rows: list[HeldOutRow]) -> HeldOutTable:
    return HeldOutTable(title, tuple(evaluation_label(one) for one in evaluations), tuple(rows))


def _parts(evaluations: list[Json], field: str) -> list[str]:
    return list(dict.fromkeys(name for evaluation in evaluations for name in evaluation.get(field) or {}))


def _pass_row(run: RunRecord, name: str, field: str | None) -> HeldOutRow:
    """pass@1 of the part `name` of `field`; of all prompts without a field."""

    def of(evaluation: Json) -> Json:
        part: Json = evaluation if field is None else (evaluation.get(field) or {}).get(name) or {}
        return part

    counts = [of(one).get("num_prompts") for one in run.evaluations]
    return _row(run, name, lambda one: pass_at_1(of(one)), counts)


def _row(
    run: RunRecord, name: str, rate: Callable[[Json], float | None], counts: Sequence[int | None] = ()
) -> HeldOutRow:
    before, after = (None if one is None else rate(one) for one in (run.cold_start, run.final))
    change = None if before is None or after is None else after - before
    cells = tuple(rate(one) for one in run.evaluations)
    return HeldOutRow(name, next((count for count in counts if count), None), cells, change)


def _endings(run: RunRecord) -> list[HeldOutRow]:
    """Which part of the responses has a final answer, and which lacks one, by name."""
    names = dict.fromkeys(name for one in run.evaluations for name in one.get("answer_status") or {})

    def part(evaluation: Json, name: str) -> float | None:
        statuses = evaluation.get("answer_status")
        return float(statuses.get(name, 0.0)) if statuses else None

    return [
        _row(run, "a final answer" if name == "ok" else name.replace("_", " "), partial(part, name=name))
        for name in sorted(names, key=lambda name: (name != "ok", name))
    ]
