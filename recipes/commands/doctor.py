"""``hone doctor``: preflight of a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rl.recipe.recipe import Recipe


def doctor(
    recipe: Annotated[str, typer.Argument(help="Recipe file, or the name of one in recipes/.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value pairs over the recipe's.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Only what needs no engine.")] = False,
) -> None:
    """Preflight: what would fail in an hour fails in a minute. Exit status 1 when a check fails."""
    import tempfile

    from recipes.settings.recipe_file import load_recipe

    settings = load_recipe(recipe, overrides or [])
    with tempfile.TemporaryDirectory(prefix="hone-doctor-") as scratch:
        if not _is_sound(settings, Path(scratch), quick):
            raise typer.Exit(1)


def _is_sound(settings: Recipe, scratch: Path, quick: bool) -> bool:
    from rich.console import Console

    from rl.run.output import command_log

    log = Path(settings.run_dir) / "logs" / "doctor.log"
    with command_log(log) as terminal:
        from recipes.commands.output.check_list import any_failed, run_checks
        from rl.preflight.examine import examine

        console = Console(file=terminal)
        failed = any_failed(run_checks(examine(settings, scratch, log.parent, quick=quick), console))
    if failed and log.exists():
        typer.echo(f"logs: {log.parent}")
    return not failed
