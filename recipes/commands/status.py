"""`hone status RUN`: a run as it stands, from its files alone."""

from __future__ import annotations

from typing import Annotated

import typer

from recipes.commands.arguments import RunPath


def status(
    run: RunPath,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for scripts.")] = False,
) -> None:
    """What a run has done, is doing and has to do, and for how long. It starts nothing and changes nothing, so it may
    be asked at any time, from any machine that sees the directory."""
    from recipes.commands.output.console import plain_console
    from recipes.commands.output.run_standing import RunStanding

    standing = RunStanding.of(run)
    if as_json:
        print(standing.to_json())
        return
    console = plain_console()
    for line in standing.lines():
        console.print(line, soft_wrap=True, highlight=False)
