"""`hone verifiers list | check`: what verifiers there are, and the conformance kit."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from recipes.commands.arguments import CaseTable, VerifierName

app = typer.Typer(help="The rule verifiers: list them, check one.", no_args_is_help=True)


@app.command("list")
def list_verifiers() -> None:
    """Every verifier: kind, options with defaults, an example."""
    from rich.table import Table

    from recipes.commands.output.console import plain_console
    from verifiers.registry import verifier_class, verifier_names

    table = Table("kind", "judges", "options (default)", "example: reference -> answer", show_lines=True)
    for name in verifier_names():
        found = verifier_class(name)
        options = "\n".join(
            f"{field.name} ({_default_words(field)})" for field in dataclasses.fields(found.Config)
        )
        example = f"{found.example.reference!r} -> {found.example.answer!r}"
        table.add_row(name, found.summary, options, example)
    plain_console().print(table)


def _default_words(option: dataclasses.Field[Any]) -> str:
    if option.default is not dataclasses.MISSING:
        return repr(option.default)
    return "required" if option.default_factory is dataclasses.MISSING else repr(option.default_factory())


@app.command("check")
def check_verifier(
    name: VerifierName,
    cases: CaseTable = None,
    ray: Annotated[bool, typer.Option(help="Judge in a Ray actor too (some seconds to start).")] = True,
) -> None:
    """Run the conformance kit on one verifier; exit status 1 when a check fails."""
    from rich.table import Table
    from rich.text import Text

    from recipes.commands.output.console import plain_console
    from verifiers.kit.conformance import check_conformance

    places = {}
    if ray:
        from rl.experience.verifier_actor import judge_in_actor

        places["from a Ray actor"] = judge_in_actor
    results = check_conformance(name, cases, places)
    colours = {"ok": "green", "failed": "red", "skipped": "yellow"}
    table = Table("check", "result", "seconds", "what to do", title=f"verifier {name}")
    for result in results:
        status = Text(result.status, colours[result.status])
        table.add_row(result.name, status, f"{result.seconds:.2f}", result.detail)
    plain_console().print(table)
    if any(result.status == "failed" for result in results):
        raise typer.Exit(1)


@app.command("fuzz")
def fuzz_verifier(
    name: VerifierName,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long.")] = 60.0,
    seed: Annotated[int, typer.Option(help="Another seed tries other answers.")] = 0,
    cases: CaseTable = None,
    out: Annotated[Path | None, typer.Option(help="Write what was found as JSONL.")] = None,
) -> None:
    """Judge answers bent out of its cases; exit status 1 when one hangs, crashes, fails or is slow."""
    import dataclasses
    import json

    from rich.table import Table
    from rich.text import Text

    from recipes.commands.output.console import plain_console
    from recipes.commands.output.out_file import require_out
    from sampler.atomic_file import write_atomically
    from verifiers.counted import counted
    from verifiers.kit.fuzz import fuzz
    from verifiers.verifier import shown

    console = plain_console()
    require_out(out)
    with console.status(Text(f"fuzzing {name}")) as status:
        report = fuzz(
            name,
            seconds=seconds,
            seed=seed,
            cases=cases,
            progress=lambda tried, found: status.update(
                Text(f"fuzzing {name}: {counted(tried, 'answer')}, {counted(found, 'finding')}")
            ),
        )
    console.print(
        f"{name}: {counted(report.num_answers, 'answer')} in {report.seconds:.0f} s, slowest {report.slowest_s:.2f} s, "
        f"{report.num_scored_1:,} scored 1, {counted(len(report.findings), 'finding')}"
    )
    if out is not None:
        rows = (json.dumps(dataclasses.asdict(finding)) + "\n" for finding in report.findings)
        write_atomically(out, "".join(rows))
    if report.findings:
        table = Table("problem", "answer", "reference")
        for finding in report.findings[:10]:
            cells = (
                shown(finding.problem, 80),
                shown(repr(finding.answer), 80),
                shown(repr(finding.reference), 40),
            )
            table.add_row(*cells)
        console.print(table)
        raise typer.Exit(1)
