"""`hone prompts`: what runs know of their prompts, asked, counted, and chosen by. One file a command."""

from __future__ import annotations

import typer

from recipes.commands.prompts.query import query
from recipes.commands.prompts.select import select
from recipes.commands.prompts.show import show
from recipes.commands.prompts.stats import stats

app = typer.Typer(
    help="The history of prompts: statistics, queries, one prompt, selections.", no_args_is_help=True
)
for command in (stats, query, show, select):
    app.command()(command)
