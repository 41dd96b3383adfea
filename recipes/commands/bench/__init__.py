"""``hone bench``: how close Hone comes to the bare engines and graders, and what learns better."""

from __future__ import annotations

import typer

from recipes.commands.bench.engines import economy, generation, peer, scoring, step, training
from recipes.commands.bench.judging import verifiers
from recipes.commands.bench.learning import ablation, forgetting, rounds, selection

app = typer.Typer(
    help="How close Hone comes to the bare engines and graders, and what learns better.", no_args_is_help=True
)
COMMANDS = (
    generation, training, step, economy, peer, scoring, verifiers, ablation, rounds, forgetting, selection,
)  # fmt: skip
for command in COMMANDS:
    app.command()(command)
