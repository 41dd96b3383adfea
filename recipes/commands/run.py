"""``hone run``: the whole program of a recipe; the same command resumes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rl.recipe.recipe import Recipe
    from rl.run.run_directory import RunDirectory


def run(
    recipe: Annotated[str, typer.Argument(help="Recipe file, or the name of one in recipes/.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value pairs over the recipe's.")] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Show the plan, check recipe and data files; run nothing. Exit status 1 when a check fails.",
        ),
    ] = False,
    report: Annotated[bool, typer.Option(help="Write RUN/report.html at the end.")] = True,
) -> None:
    """Run a recipe's rounds of SFT, RL and rejection sampling. Run it again to go on after a stop."""
    from recipes.settings.recipe_file import dump_recipe, load_recipe
    from rl.run.run_directory import RunDirectory

    settings = load_recipe(recipe, overrides or [])
    if dry_run:
        from recipes.commands.output.check_list import any_failed
        from recipes.commands.output.run_plan import print_plan

        raise typer.Exit(1 if any_failed(print_plan(settings)) else 0)
    run_directory = RunDirectory(Path(settings.run_dir))
    run_directory.open(dump_recipe(settings))
    try:
        _run(settings, run_directory, report)
    finally:
        run_directory.close()


def _run(settings: Recipe, run_directory: RunDirectory, report: bool) -> None:
    from rich.console import Console

    from rl.run.engine_failure import failures_in_one_line
    from rl.run.output import quiet_third_party
    from rl.run.progress import ProgressDisplay

    log = run_directory.logs / "driver.log"
    with quiet_third_party(log) as terminal, failures_in_one_line(log):
        with ProgressDisplay(Console(file=terminal)) as display:
            from recipes.report.record.rates import rate_chains
            from rl.program import run_program

            summary = run_program(settings, run_directory, display)
            if report:
                from recipes.report.page import write_report

                display.note(f"report: {write_report(run_directory.path)}")
            for line in rate_chains(summary["heldout"]):
                display.note(line)
