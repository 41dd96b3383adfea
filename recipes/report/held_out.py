"""The before/after table: held-out pass@1 per question type over the stages of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from recipes.report.run_record import RunRecord, evaluation_label

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
    """One block of rows: by question type, verifier, kind or by how responses end."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[HeldOutRow, ...]


def held_out_tables(run: RunRecord) -> list[HeldOutTable]:
    """Question types first, under a row for all prompts; then verifiers and kinds where there are several."""
    evaluations = run.evaluations
    if not evaluations:
        return []
    names = ("question type", "verifier", "kind")
    fields = ("by_tag", "by_verifier", "by_kind")
    tables = []
    for title, field in zip(names, fields, strict=True):
        rows = [_row(run, name, field, name) for name in _parts(evaluations, field)]
        if title == "question type":
            rows = [_row(run, "all", None, ""), *rows]
        elif len(rows) < 2:
            continue
        tables.append(_table(title, evaluations, rows))
    endings = _endings(run)
    return [*tables, _table("how responses end", evaluations, endings)] if endings else tables


def pass_at_k(evaluation: Json) -> tuple[str, float] | None:
    """The largest k with its pass@k, such as ("pass@4", 0.71)."""
    by_k = {int(k): value for k, value in (evaluation.get("pass_at_k") or {}).items() if value is not None}
    return (f"pass@{max(by_k)}", float(by_k[max(by_k)])) if by_k else None


def _table(title: str, evaluations: list[Json], rows: list[HeldOutRow]) -> HeldOutTable:
    return HeldOutTable(title, tuple(evaluation_label(one) for one in evaluations), tuple(rows))


def _parts(evaluations: list[Json], field: str) -> list[str]:
    return list(dict.fromkeys(name for evaluation in evaluations for name in evaluation.get(field) or {}))


def _row(run: RunRecord, name: str, field: str | None, part: str) -> HeldOutRow:
    def of(evaluation: Json | None) -> Json:
        if evaluation is None or field is None:
            return evaluation or {}
        return (evaluation.get(field) or {}).get(part) or {}

    cells = tuple(of(evaluation).get("pass_at_1") for evaluation in run.evaluations)
    before, after = of(run.cold_start).get("pass_at_1"), of(run.final).get("pass_at_1")
    counts = [of(one).get("num_prompts") for one in run.evaluations]
    change = None if before is None or after is None else after - before
    return HeldOutRow(name, next((count for count in counts if count), None), cells, change)


def _endings(run: RunRecord) -> list[HeldOutRow]:
    """Which part of the responses has a final answer, and which lacks one, by name."""
    statuses = [evaluation.get("answer_status") or {} for evaluation in run.evaluations]
    names = list(dict.fromkeys(name for status in statuses for name in status))
    rows = []
    for name in sorted(names, key=lambda name: (name != "ok", name)):
        before = (run.cold_start or {}).get("answer_status") or {}
        after = (run.final or {}).get("answer_status") or {}
        change = float(after.get(name, 0.0)) - float(before.get(name, 0.0)) if after and before else None
        cells = tuple(float(status.get(name, 0.0)) if status else None for status in statuses)
        words = "a final answer" if name == "ok" else name.replace("_", " ")
        rows.append(HeldOutRow(words, None, cells, change))
    return rows
