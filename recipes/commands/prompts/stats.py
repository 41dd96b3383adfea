"""`hone prompts stats`: how much of a run's prompts is solved, hopeless or not known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recipes.commands.prompts.opened_store import HalfLife, Runs, opened_store

if TYPE_CHECKING:
    from rich.console import Console

BAR_WIDTH = 40
NUM_BINS = 10


def stats(runs: Runs, half_life: HalfLife = 32.0) -> None:
    """Per question type: prompts, samples, pass rate, how many are solved, hopeless, in between or unknown; moves; a
    histogram of believed pass rates."""
    from rich.table import Table

    from recipes.commands.output.console import plain_console
    from sampler.store.belief import believed

    console = plain_console()
    with opened_store(runs) as (store, run):
        beliefs = believed(store, run, half_life=half_life)
        prompts = store.query(
            "SELECT split, count(*) AS num FROM prompts WHERE run = ? GROUP BY split ORDER BY split", [run]
        )
        sets = ", ".join(f"{row['num']:,} {row['split']}" for row in prompts.to_pylist())
        console.print(f"{run}: {sets or 'no'} prompts, {beliefs.num_rows:,} tried")
        table = Table(
            "question type", "tried", "samples", "pass rate", "solved", "in between", "unknown", "hopeless"
        )
        for name, row in _by_type(beliefs.to_pylist()).items():
            table.add_row(name, *row)
        console.print(table)
        _print_histogram(console, [float(mean) for mean in beliefs["mean"].to_pylist()])
        moves = store.query(
            "SELECT policy_version, count(*), count(*) FILTER (move = 'newly solved'), "
            "count(*) FILTER (move = 'forgotten'), count(*) FILTER (move = 'repaired') FROM turnover "
            "WHERE run = ? AND move <> 'first' GROUP BY policy_version ORDER BY policy_version DESC LIMIT 10",
            [run],
        ).to_pylist()
    if moves:
        moved = Table(
            "policy version",
            "tried before",
            "newly solved",
            "forgotten",
            "repaired",
            title="the newest policies",
        )
        for row in reversed(moves):
            moved.add_row(*(f"{value:,}" for value in row.values()))
        console.print(moved)


def _by_type(beliefs: list[dict[str, Any]]) -> dict[str, list[str]]:
    """The cells of each question type under those of all."""
    types = sorted({row["question_type"] for row in beliefs})
    groups = {"all": beliefs} | {
        name: [row for row in beliefs if row["question_type"] == name] for name in types
    }
    found = {}
    for name, rows in groups.items():
        rate = sum(row["mean"] for row in rows) / max(1, len(rows))
        standings = [row["standing"] for row in rows]
        counts = [f"{standings.count(one):,}" for one in ("solved", "in between", "unknown", "hopeless")]
        found[name] = [f"{len(rows):,}", f"{sum(row['n'] for row in rows):,}", f"{rate:.1%}", *counts]
    return found


def _print_histogram(console: Console, rates: list[float]) -> None:
    counts = [0] * NUM_BINS
    for rate in rates:
        counts[min(int(rate * NUM_BINS), NUM_BINS - 1)] += 1
    console.print("believed pass rate")
    for index, count in enumerate(counts):
        bar = "#" * round(BAR_WIDTH * count / max(counts)) if count else ""
        console.print(
            f"  {index / NUM_BINS:4.0%} to {(index + 1) / NUM_BINS:4.0%} {count:8,} {bar}", highlight=False
        )
