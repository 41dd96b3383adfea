"""``hone run``: the whole program of a recipe; the same command resumes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recipes.commands.arguments import Overrides, RecipeName

if TYPE_CHECKING:
    from rl.run.run_directory import RunDirectory

DRY_RUN = "Show the plan, check recipe and data files; run nothing. Exit status 1 when a check fails."


def run(
    recipe: RecipeName,
    overrides: Overrides = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=DRY_RUN)] = False,
    report: Annotated[bool, typer.Option(help="Write RUN/report.html at the end.")] = True,
) -> None:
    """Run a recipe's rounds of SFT, RL and rejection sampling. Run it again to go on after a stop."""
    from recipes.settings.recipe_file import load_recipe

    settings = load_recipe(recipe, overrides or [])
    if dry_run:
        from recipes.commands.output.run_plan import print_plan

        raise typer.Exit(0 if print_plan(settings) else 1)
    from recipes.commands.output.held_run import held_run

    with held_run(settings) as (run_directory, display):
        from recipes.report.evaluation import rate_chains
        from rl.program import run_program

        summary = run_program(settings, run_directory, display)
        if report:
            display.note(f"report: {_report(run_directory, display.note)}")
        for line in rate_chains(summary["heldout"]):
            display.note(line)


def _report(run: RunDirectory, note: Callable[[str], None]) -> Path:
    """The run's page; written again only where a stage has ended since."""
    page = run.path / "report.html"
    manifests = [file.stat().st_mtime for file in run.path.glob("stages/*/manifest.json")]
    if not page.is_file() or page.stat().st_mtime < max(manifests, default=0.0):
        from recipes.report.page import write_report

        write_report(run.path, on_warning=lambda warning: note(f"! {warning}"))
    return page
