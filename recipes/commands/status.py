"""`hone status [RUN]`: a run as it stands, or the runs there are, from their files alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RUNS = Path("runs")  # where recipes put theirs


def status(
    run: Annotated[
        Path | None, typer.Argument(metavar="RUN", help="Run directory. [default: a line for each in runs/]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a run, for scripts.")] = False,
) -> None:
    """What a run has done, is doing and has to do, and for how long. It starts nothing and changes nothing, so it may
    be asked at any time, from any machine that sees the directory."""
    from recipes.commands.output.console import plain_console
    from recipes.commands.output.run_standing import RunStanding
    from verifiers.errors import HoneError

    console = plain_console()
    standings = []
    for path in [run] if run else sorted(file.parent for file in RUNS.glob("*/recipe.yaml")):
        try:
            standings.append(RunStanding.of(path))
        except HoneError as why:
            if run is not None:
                raise
            typer.echo(f"hone: {path} cannot be read: {why}", err=True)
    if as_json:
        for standing in standings:
            print(standing.to_json())
        return
    lines = standings[0].lines() if run else [one.short_line() for one in standings]
    for line in lines or [f"no run in {RUNS}/: `hone run digits_try` makes one"]:
        console.print(line, soft_wrap=True, highlight=False)
