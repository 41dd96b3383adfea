"""A console that takes texts literally: what comes out of data, plug-ins and errors neither marks up nor steers."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

if TYPE_CHECKING:
    from rl.preflight.check import Check

TITLE_WIDTH = 36  # of a check
FILE_WIDTH = 200  # where no terminal says how wide it is: columns that are cut are lost to a file


# Control characters but tab and line feed, and those that turn the direction of what follows.
_STEERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class _PlainConsole(Console):
    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """No text steers the terminal; rich's own controls do."""
        for part in super().render(renderable, options):
            yield part if part.control else Segment(_STEERS.sub("?", part.text), part.style)

    def on_broken_pipe(self) -> None:
        """Silently, as for every other write; no error, or it would be taken for an engine's."""
        raise SystemExit(128 + signal.SIGPIPE)


def plain_console(file: IO[str] | None = None) -> Console:
    """On the terminal or ``file``; colours come by `rich.text.Text` only."""
    console = _PlainConsole(file=file, markup=False, emoji=False)
    if not console.is_terminal and not os.environ.get("COLUMNS"):
        console.width = FILE_WIDTH
    return console


def all_pass(checks: Iterable[Check], console: Console) -> bool:
    """Run checks in order, each before the next is asked for: on a terminal named while it runs, its finding stays with
    its seconds. Whether none has failed."""
    from rl.run.progress import ProgressDisplay

    outcomes = []
    with ProgressDisplay(console, title_width=TITLE_WIDTH, announces=False) as display:
        for check in checks:
            with display.stage(check.name) as progress:
                finding = check.run()
                progress.finish(finding.summary, finding.outcome)
            for line in finding.details:
                display.note(f"    {line}")
            outcomes.append(finding.outcome)
    return "failed" not in outcomes
