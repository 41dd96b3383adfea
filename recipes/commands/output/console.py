"""A console that takes every text literally: what comes out of data, plug-ins and errors is never markup."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from rl.preflight.check import Check

TITLE_WIDTH = 36  # of a check


class _PlainConsole(Console):
    def on_broken_pipe(self) -> None:
        """Silently, as for every other write; no error, or it would be taken for an engine's."""
        raise SystemExit(128 + signal.SIGPIPE)


def plain_console(file: IO[str] | None = None) -> Console:
    """On the terminal or ``file``; colours come by `rich.text.Text` only."""
    return _PlainConsole(file=file, markup=False, emoji=False)


def all_pass(checks: Iterable[Check], console: Console) -> bool:
    """Run checks in order, each before the next is asked for: named while it runs, its finding stays with its seconds.
    Whether none has failed."""
    from rl.run.progress import ProgressDisplay

    outcomes = []
    with ProgressDisplay(console, title_width=TITLE_WIDTH) as display:
        for check in checks:
            with display.stage(check.name) as progress:
                finding = check.run()
                progress.finish(finding.summary, finding.outcome)
            for line in finding.details:
                display.note(f"    {line}")
            outcomes.append(finding.outcome)
    return "failed" not in outcomes
