"""``hone doctor``: preflight of a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recipes.commands.arguments import Overrides, RecipeName


def doctor(
    recipe: RecipeName,
    overrides: Overrides = None,
    quick: Annotated[bool, typer.Option("--quick", help="Only what needs no engine.")] = False,
) -> None:
    """Preflight: what would fail in an hour fails in a minute. Exit status 1 when a check fails."""
    import tempfile

    from recipes.commands.output.console import plain_console
    from recipes.settings.recipe_file import load_recipe
    from rl.run.boundary.output import command_log

    settings = load_recipe(recipe, overrides or [])
    log = Path(settings.run_dir) / "logs" / "doctor.log"
    with tempfile.TemporaryDirectory(prefix="hone-doctor-") as scratch, command_log(log) as terminal:
        from recipes.commands.output.console import all_pass
        from rl.preflight.examine import examine
        from rl.program import program_of
        from rl.run.run_directory import RunDirectory
        from rl.runner import plan_of

        run = RunDirectory(Path(settings.run_dir))
        checks = examine(
            settings,
            Path(scratch),
            log.parent,
            quick=quick,
            plan=lambda: plan_of(program_of(settings), settings, run),
        )
        is_sound = all_pass(checks, plain_console(terminal))
    if not is_sound:
        if log.exists():
            typer.echo(f"logs: {log.parent}")
        raise typer.Exit(1)
