"""What learns better: arms over paired seeds, each with a table, a plot and a page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO, TypeVar

import typer

from recipes.commands.arguments import FinishedRun, Overrides

if TYPE_CHECKING:
    from rl.run.progress import ProgressDisplay

ABLATION = Path("runs/ablation")
ROUNDS = Path("runs/rounds")
SELECTION = Path("runs/selection")
FORGETTING = Path("runs/forgetting")
RecordT = TypeVar("RecordT")
FirstRound = Annotated[Path, typer.Argument(help="A run that has finished its first RL.")]
OutDir = Annotated[Path, typer.Option(help="Runs go here; the same again goes on.")]
RecordDir = Annotated[Path, typer.Option(help="A small file an arm and seed goes here.")]
Arms = Annotated[list[str] | None, typer.Option("--arm", help="Only this one; may be repeated.")]
Seeds = Annotated[int, typer.Option(min=0, help="Seeds of each arm; 0: only the page of the records.")]


def ablation(
    run: FinishedRun,
    out: Annotated[Path, typer.Option(help="Runs and page go here; the same again goes on.")] = ABLATION,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of each arm.")] = 3,
    steps: Annotated[int, typer.Option(min=1, help="RL steps of each run.")] = 32,
    rollouts: Annotated[int, typer.Option(min=4, help="Rollouts a step.")] = 160,
    samples: Annotated[int, typer.Option(min=1, help="Samples a held-out prompt.")] = 4,
) -> None:
    """Hybrid PPO with one part left out at a time, from one SFT policy: medians, a table and a page."""
    with _learning(out) as (terminal, display):
        from recipes.benchmarks.learning.ablation.ablation import run_ablation
        from recipes.benchmarks.learning.ablation.ablation_page import page, table

        with display:
            sizes = {"steps": steps, "rollouts": rollouts, "samples": samples}
            result = run_ablation(run, out, seeds=range(1, seeds + 1), **sizes, display=display)
        (out / "ablation.html").write_text(page(result, "Hybrid PPO, one part left out at a time"))
        print(table(result), file=terminal)


def rounds(
    run: FirstRound,
    overrides: Overrides = None,
    out: OutDir = ROUNDS,
    records: RecordDir = ROUNDS / "records",
    arms: Arms = None,
    seeds: Seeds = 8,
    rollouts: Annotated[
        int, typer.Option(min=1, help="Rollouts of each arm, its harvest's included.")
    ] = 24576,
) -> None:
    """What a second round is worth: from one RL policy several ways on, each with as many rollouts. A table with
    intervals, a plot and a page. An arm takes some minutes a seed on two cores; docs/rounds.md has the arms' names."""
    with _learning(out) as (terminal, display):
        from recipes.benchmarks.learning.rounds import ARMS, RoundRecord, run_rounds
        from recipes.benchmarks.learning.rounds_page import page, plot, table

        with display:
            run_rounds(
                run,
                out,
                records,
                arms=arms or list(ARMS),
                seeds=range(1, seeds + 1),
                num_rollouts=rollouts,
                overrides=overrides or [],
                display=display,
            )
        done = _some(RoundRecord.read_all(records), records)
        (out / "rounds.html").write_text(page(done, "What the second round is for"))
        (out / "rounds.svg").write_text(plot(done))
        print(table(done), file=terminal)


def selection(
    run: FirstRound,
    overrides: Overrides = None,
    target: Annotated[float, typer.Option(min=0, max=1, help="Held-out pass@1 to be reached.")] = 0.8,
    out: OutDir = SELECTION,
    records: RecordDir = SELECTION / "records",
    arms: Arms = None,
    seeds: Seeds = 12,
    legs: Annotated[int, typer.Option(min=1, help="Evaluations of each arm.")] = 10,
    steps: Annotated[int, typer.Option(min=1, help="RL steps before each evaluation.")] = 6,
) -> None:
    """Rollouts until a held-out pass@1, each rule of selection against uniform: from the cold-started policy of a run,
    paired by seed. A table with intervals, a plot and a page; docs/selection.md has the arms."""
    with _learning(out) as (terminal, display):
        from recipes.benchmarks.learning.selection import ARMS, SelectionRecord, run_selection
        from recipes.benchmarks.learning.selection_page import page, plot, table

        with display:
            run_selection(
                run,
                out,
                records,
                arms=arms or list(ARMS),
                seeds=range(1, seeds + 1),
                num_legs=legs,
                steps=steps,
                overrides=overrides or [],
                display=display,
            )
        done = _some(SelectionRecord.read_all(records), records)
        (out / "selection.html").write_text(page(done, target, "Which prompts RL should take"))
        (out / "selection.svg").write_text(plot(done, target))
        print(table(done, target), file=terminal)


def forgetting(
    run: FirstRound,
    overrides: Overrides = None,
    out: OutDir = FORGETTING,
    records: RecordDir = FORGETTING / "records",
    sources: Annotated[
        list[str] | None, typer.Option("--source", help="Only these rows; may be repeated.")
    ] = None,
    rows: Annotated[list[int] | None, typer.Option("--rows", help="So many; may be repeated.")] = None,
    seeds: Seeds = 2,
) -> None:
    """What an SFT after RL makes the policy forget, by what its rows are and how many: held-out pass@1, and the loss of
    what RL had got right. A table, a plot and a page; docs/rounds.md has the sources."""
    with _learning(out) as (terminal, display):
        from recipes.benchmarks.learning.forgetting import NUM_ROWS, SOURCES, read_records, run_forgetting
        from recipes.benchmarks.learning.forgetting_page import page, plot, table

        with display:
            run_forgetting(
                run,
                out,
                records,
                sources=sources or list(SOURCES),
                numbers=rows or NUM_ROWS,
                seeds=range(1, seeds + 1),
                overrides=overrides or [],
                display=display,
            )
        done = _some(read_records(records), records)
        (out / "forgetting.html").write_text(page(done, "What an SFT after RL forgets"))
        (out / "forgetting.svg").write_text(plot(done))
        print(table(done), file=terminal)


@contextmanager
def _learning(out: Path) -> Iterator[tuple[TextIO, ProgressDisplay]]:
    """The terminal for what comes out at the end, everything else going to a log, and the progress until then."""
    from recipes.commands.output.console import plain_console
    from rl.run.boundary.output import command_log
    from rl.run.progress import ProgressDisplay

    with command_log(out / "logs" / "driver.log") as terminal:
        yield terminal, ProgressDisplay(plain_console(terminal))


def _some(found: list[RecordT], directory: Path) -> list[RecordT]:
    """Raises: BadInput where there is none."""
    from verifiers.errors import BadInput

    if not found:
        raise BadInput(f"{directory} has no record yet: give --seeds")
    return found
