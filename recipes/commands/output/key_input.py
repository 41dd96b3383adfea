"""Single keys and lines from whoever is at the terminal; from a pipe a key a line, so that a script can answer."""

from __future__ import annotations

import sys


def read_key() -> str:
    """One key, in lower case; empty at the end of the input. Raises: KeyboardInterrupt on Ctrl-C."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()[:1].lower()
    import click

    try:
        return click.getchar().lower()
    except EOFError:  # Ctrl-D
        return ""


def read_line(asked: str) -> str:
    """A line, stripped; empty where there is none."""
    try:
        return input(f"{asked}: ").strip()
    except EOFError:
        return ""
