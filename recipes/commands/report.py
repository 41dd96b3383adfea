"""`hone report RUN`: one self-contained HTML page of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recipes.commands.arguments import RunPath


def report(
    run: RunPath,
    out: Annotated[Path | None, typer.Option(help="Where to write; RUN/report.html by default.")] = None,
    open_page: Annotated[bool, typer.Option("--open/--no-open", help="Show it in the web browser.")] = False,
) -> None:
    """Write one HTML file with curves, before and after, and rollouts. It needs nothing else and runs no script."""
    import sys

    from recipes.commands.output.console import plain_console
    from recipes.commands.output.out_file import require_out
    from recipes.report.page import write_report

    require_out(out)
    console = plain_console(sys.stderr)
    page = write_report(run, out, lambda warning: console.print(f"! {warning}", highlight=False))
    print(page)
    if open_page:
        import webbrowser

        if not webbrowser.open(page.resolve().as_uri()):
            print("no web browser to open it with", flush=True)
