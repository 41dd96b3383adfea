"""Verdicts of a judged file: written row by row in input order, counted, and shown as a table."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from sampler.atomic_file import written_whole
from verifiers.case import Case
from verifiers.counted import counted
from verifiers.verdict import UNJUDGED, Verdict

MOST_SHOWN = 20  # rows of a file that are all shown; of a longer one the slowest
NUM_SLOWEST = 5
NUM_UNJUDGED_SHOWN = 5


class VerdictFile:
    """Takes verdicts in order; with a path, the file appears whole when all went well, and not at all otherwise."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.counts: Counter[str] = Counter()
        self.unjudged: list[tuple[Case, Verdict]] = []
        self._sum_scores = 0.0
        self._first: list[tuple[Case, Verdict]] = []
        self._slowest: list[tuple[float, Case, Verdict]] = []
        self._open = ExitStack()
        self._sink: TextIO | None = None

    def __enter__(self) -> VerdictFile:
        if self.path is not None:
            temporary = self._open.enter_context(written_whole(self.path))
            self._sink = self._open.enter_context(temporary.open("w", encoding="utf-8"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def add(self, case: Case, verdict: Verdict) -> None:
        """Count one verdict and write its row."""
        self.counts[outcome(verdict)] += 1
        self._sum_scores += verdict.score or 0.0
        if verdict.status in UNJUDGED:
            self.unjudged.append((case, verdict))
        if len(self._first) < MOST_SHOWN:
            self._first.append((case, verdict))
        self._slowest.append((verdict.seconds, case, verdict))
        self._slowest.sort(key=lambda item: -item[0])
        del self._slowest[NUM_SLOWEST:]
        if self._sink is not None:
            self._sink.write(json.dumps(verdict_row(case, verdict), ensure_ascii=True) + "\n")

    def show(self) -> None:
        """The table of outcomes, every row of a short file or the slowest of a long one, what could not be judged."""
        from rich.table import Table
        from rich.text import Text

        from recipes.commands.output.console import plain_console

        console = plain_console()
        total = self.counts.total()
        table = Table("outcome", "cases", "rate", title=counted(total, "case"))
        for name, count in sorted(self.counts.items(), key=lambda item: (-item[1], item[0])):
            table.add_row(name, str(count), f"{count / total:.1%}")
        console.print(table)
        num_judged = total - len(self.unjudged)
        if num_judged:
            console.print(f"mean score {self._sum_scores / num_judged:.4f} over {num_judged} judged cases")
        is_short = total <= MOST_SHOWN
        rows = Table("row" if is_short else "slowest", "verifier", "ms", "outcome", "reason")
        for case, verdict in self._first if is_short else [shown[1:] for shown in self._slowest]:
            ms = f"{1000 * verdict.seconds:.2f}"
            rows.add_row(case.case_id, case.verifier, ms, outcome(verdict), verdict.reason[:80])
        console.print(rows)
        for case, verdict in self.unjudged[:NUM_UNJUDGED_SHOWN]:
            line = Text("not judged", "red").append(
                f" {case.case_id} ({case.verifier}, {verdict.code})", "default"
            )
            console.print(line.append(f": {verdict.reason}", "default"))
        if len(self.unjudged) > NUM_UNJUDGED_SHOWN:
            console.print(f"... and {len(self.unjudged) - NUM_UNJUDGED_SHOWN} more that were not judged")
        if self.path is not None:
            console.print(f"verdicts written to {self.path}")


def outcome(verdict: Verdict) -> str:
    """The line of the outcome table that a verdict counts under."""
    if verdict.status != "scored":
        return verdict.status
    if verdict.score in (0.0, 1.0):
        return f"score {verdict.score:g}: {verdict.code}"
    return "score between 0 and 1"


def verdict_row(case: Case, verdict: Verdict) -> dict[str, Any]:
    """One row of the output file."""
    row = verdict.to_json()
    names = ("status", "score", "confident", "extracted", "code", "reason", "parts", "seconds", "tier")
    return {"id": case.case_id, "verifier": case.verifier, **{name: row[name] for name in names}}
