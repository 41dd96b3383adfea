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


@app.command("bench")
def bench(
    cases: Annotated[int, typer.Option(min=20, help="Cases of the golden table.")] = 300,
    rounds: Annotated[int, typer.Option(min=1, help="Interleaved rounds.")] = 3,
) -> None:
    """`math` beside math-verify in one run, then the service with 0, 1 and 2 workers."""
    from rich.console import Console
    from rich.table import Table

    from verifiers.benchmark import compare_graders, service_rates

    console = Console()
    table = Table(
        "grader",
        "cases/s",
        "median ms",
        "p99 ms",
        "accuracy",
        "false positives",
        title=f"{cases} cases, CPU time",
    )
    measured = compare_graders(cases, rounds)
    for one in measured:
        times = f"{one.percentile_ms(0.5):.3f}", f"{one.percentile_ms(0.99):.1f}"
        table.add_row(
            one.name,
            f"{one.cases_per_s:.0f}",
            *times,
            f"{one.accuracy:.1%}",
            f"{one.false_positive_frac:.1%}",
        )
    console.print(table)
    console.print(f"ratio of rates: {measured[0].cases_per_s / measured[1].cases_per_s:.1f}")
    rates = service_rates(num_rounds=rounds)
    console.print(
        "service: " + ", ".join(f"{workers} workers {rate:.0f}/s" for workers, rate in rates.items())
    )
    console.print(f"two workers over one: {rates[2] / rates[1]:.2f}")


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
