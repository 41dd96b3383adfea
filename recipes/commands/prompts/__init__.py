"""`hone prompts`: what runs know of their prompts, asked, counted, chosen by and corrected. One file a command."""

from __future__ import annotations

import typer

from recipes.commands.prompts.compact import compact
from recipes.commands.prompts.deciding.fix import fix
from recipes.commands.prompts.deciding.mark import mark
from recipes.commands.prompts.deciding.rejudge import rejudge
from recipes.commands.prompts.deciding.review import review
from recipes.commands.prompts.deciding.suspects import suspects
from recipes.commands.prompts.duplicates import duplicates
from recipes.commands.prompts.export import export
from recipes.commands.prompts.import_ import import_
from recipes.commands.prompts.pipeline import pipeline
from recipes.commands.prompts.profile import profile
from recipes.commands.prompts.query import query
from recipes.commands.prompts.select import select
from recipes.commands.prompts.show import show
from recipes.commands.prompts.stats import stats

app = typer.Typer(
    help="The history of prompts: statistics, queries, one prompt, selections, decisions.",
    no_args_is_help=True,
)
COMMANDS = (
    profile, stats, query, show, select, export, suspects, review, mark, fix, rejudge, pipeline, duplicates, compact,
)  # fmt: skip
for command in COMMANDS:
    app.command()(command)
app.command("import")(import_)
