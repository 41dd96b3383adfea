"""A console that takes every text literally: what comes out of data, plug-ins and errors is never markup."""

from __future__ import annotations

from typing import IO

from rich.console import Console


class _PlainConsole(Console):
    def on_broken_pipe(self) -> None:
        """As for every other write: the command line knows the exit status."""
        raise BrokenPipeError


def plain_console(file: IO[str] | None = None) -> Console:
    """On the terminal or ``file``; colours come by `rich.text.Text` only."""
    return _PlainConsole(file=file, markup=False, emoji=False)
