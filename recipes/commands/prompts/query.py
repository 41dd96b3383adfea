"""`hone prompts query`: the store asked in SQL."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recipes.commands.prompts.opened_store import Runs, opened_store


def query(
    sql: Annotated[str, typer.Argument(help="Over the views of docs/prompts.md: prompts, attempts ...")],
    runs: Runs,
    out: Annotated[Path | None, typer.Option(help="Write the answer as Parquet here.")] = None,
) -> None:
    """Ask the store in SQL: SELECT verifier, avg(pass_rate) FROM attempts GROUP BY 1."""
    from recipes.commands.output.answer_table import print_table, write_table
    from recipes.commands.output.console import plain_console

    console = plain_console()
    with opened_store(runs, out) as (store, _):
        found = store.query(sql)
    if out is not None:
        write_table(console, out, found)
        return
    print_table(console, found)
