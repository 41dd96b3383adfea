"""`hone verifiers list | check`: what verifiers there are, and the conformance kit."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="The rule verifiers: list them, check one.", no_args_is_help=True)


@app.command("list")
def list_verifiers() -> None:
    """Every verifier: kind, options with defaults, an example."""
    import dataclasses

    from rich.console import Console
    from rich.table import Table

    from verifiers.registry import verifier_class, verifier_names

    table = Table("kind", "judges", "options (default)", "example: reference -> answer", show_lines=True)
    for name in verifier_names():
        found = verifier_class(name)
        options = "\n".join(
            f"{field.name} ({'required' if field.default is dataclasses.MISSING else repr(field.default)})"
            for field in dataclasses.fields(found.Config)
        )
        example = f"{found.example.reference!r} -> {found.example.answer!r}"
        table.add_row(name, found.summary, options, example)
    Console().print(table)


@app.command("check")
def check_verifier(
    name: Annotated[str, typer.Argument(help="Kind, plug-in name or package.module:Name.")],
    cases: Annotated[
        str | None, typer.Option(help="Its case table (JSONL), if not in the usual place.")
    ] = None,
) -> None:
    """Run the conformance kit on one verifier; exit status 1 when a check fails."""
    from pathlib import Path

    from rich.console import Console
    from rich.table import Table

    from verifiers.conformance import check_conformance

    results = check_conformance(name, cases=Path(cases) if cases else None)
    colours = {"ok": "green", "failed": "red", "skipped": "yellow"}
    table = Table("check", "result", "seconds", "what to do", title=f"verifier {name}")
    for result in results:
        colour = colours[result.status]
        table.add_row(result.name, f"[{colour}]{result.status}[/]", f"{result.seconds:.2f}", result.detail)
    Console().print(table)
    if any(result.status == "failed" for result in results):
        raise typer.Exit(1)
