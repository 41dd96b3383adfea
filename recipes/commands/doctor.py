"""``hone doctor``: preflight of a recipe."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rl.finding import Finding
    from rl.recipe import Recipe


def doctor(
    recipe: Annotated[str, typer.Argument(help="Recipe file, or the name of one in recipes/.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value pairs over the recipe's.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Only what needs no engine.")] = False,
) -> None:
    """Preflight: what would fail in an hour fails in a minute. Exit status 1 when a check fails."""
    import tempfile

    from recipes.recipe_file import load_recipe

    settings = load_recipe(recipe, overrides or [])
    with tempfile.TemporaryDirectory(prefix="hone-doctor-") as scratch:
        findings = _examine(settings, Path(scratch), quick)
    if any(finding.outcome == "failed" for finding in findings):
        raise typer.Exit(1)


def _examine(settings: Recipe, scratch: Path, quick: bool) -> list[Finding]:
    from rich.console import Console

    from rl.engine_failure import failures_in_one_line
    from rl.quiet import quiet_third_party

    colours = {"ok": "green", "warning": "yellow", "failed": "red"}
    findings = []
    log = Path(settings.run_dir) / "logs" / "doctor.log"
    with quiet_third_party(log) as terminal, failures_in_one_line(log):
        from rl.engines import Engines
        from rl.preflight import check_data, check_engines
        from rl.preflight_judging import check_trained
        from rl.run_data import base_policy, build_data, load, refuse_leaks
        from rl.run_directory import RunDirectory

        console = Console(file=terminal)

        def tell(checks: Iterable[Finding]) -> None:
            for finding in checks:
                findings.append(finding)
                console.print(
                    f"[{colours[finding.outcome]}]{finding.outcome:>8}[/]  {finding.check}: {finding.words}",
                    highlight=False,
                )

        data = load(build_data(settings, scratch), scratch)
        refuse_leaks(data)
        base = base_policy(settings, scratch, data)
        tell(check_data(settings, data, base))
        tell(check_trained(settings, RunDirectory(Path(settings.run_dir))))
        if not quick:
            run_path = Path(settings.run_dir)
            with Engines(settings, base, log.parent, probe=data.heldout, run_path=run_path) as engines:
                tell(check_engines(settings, engines, data))
    return findings
