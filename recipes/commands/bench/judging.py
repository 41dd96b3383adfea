"""How fast and how right: the verifiers beside math-verify."""

from __future__ import annotations

from typing import Annotated

import typer

FAULTS = "Only this: so many cases through the service, 1% hang, 1% crash."


def verifiers(
    cases: Annotated[int, typer.Option(min=20, help="Cases of the golden table.")] = 300,
    rounds: Annotated[int, typer.Option(min=1, help="Interleaved rounds.")] = 3,
    faults: Annotated[int, typer.Option(min=0, help=FAULTS)] = 0,
) -> None:
    """`math` beside math-verify in one run, then the service with 1 and 2 workers."""
    if faults:
        from verifiers.bench.fault_benchmark import run_with_faults

        print(run_with_faults(faults))
        return
    from rich.table import Table

    from recipes.commands.output.console import plain_console
    from verifiers.bench.benchmark import compare_graders
    from verifiers.bench.service_scaling import measure_scaling

    console = plain_console()
    columns = ("grader", "cases/s", "median ms", "p99 ms", "accuracy", "false positives")
    table = Table(*columns, title=f"{cases} cases, CPU time")
    measured = compare_graders(cases, rounds)
    for one in measured:
        times = f"{one.cases_per_s:.0f}", f"{one.percentile_ms(0.5):.3f}", f"{one.percentile_ms(0.99):.1f}"
        table.add_row(one.name, *times, f"{one.accuracy:.1%}", f"{one.false_positive_frac:.1%}")
    console.print(table)
    console.print(f"ratio of rates: {measured[0].cases_per_s / measured[1].cases_per_s:.1f}")
    console.print(str(measure_scaling(4 * rounds)), highlight=False, soft_wrap=True)
