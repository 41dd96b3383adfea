"""`hone prompts stats`: how much of a run's prompts is solved, hopeless or not known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recipes.commands.prompts.opened_store import HalfLife, Runs, opened_store

if TYPE_CHECKING:
    from rich.console import Console

    from sampler.store.prompt_table import PromptTable

BAR_WIDTH = 40
NUM_BINS = 10
NUM_NEWEST = 10

_BY_TYPE = """
    count(*) AS tried, sum(n)::BIGINT AS samples, avg(mean) AS mean, count(*) FILTER (standing = 'solved') AS solved,
    count(*) FILTER (standing = 'in between') AS between, count(*) FILTER (standing = 'unknown') AS unknown,
    count(*) FILTER (standing = 'hopeless') AS hopeless
"""


def stats(runs: Runs, half_life: HalfLife = 32.0) -> None:
    """Per question type: prompts, samples, pass rate, how many are solved, hopeless, in between or unknown; moves; a
    histogram of believed pass rates."""
    from recipes.commands.output.console import plain_console
    from sampler.store.prompt_table import PromptTable

    console = plain_console()
    with opened_store(runs) as (store, run):
        table = PromptTable(store, run, half_life=half_life)
        counts = table.counts("split")
        sets = ", ".join(f"{num:,} {split}" for split, num in counts.items())
        console.print(f"{run}: {sets or 'no'} prompts, {_num_tried(table):,} tried")
        _print_types(console, table)
        _print_histogram(console, table)
        _print_moves(console, table)


def _num_tried(table: PromptTable) -> int:
    from sampler.store.prompt_table import PageFilter

    return int(table.query("count(DISTINCT prompt_id)", PageFilter(min_samples=1)).column(0)[0].as_py())


def _print_types(console: Console, table: PromptTable) -> None:
    """A line for each question type under that of all."""
    from rich.table import Table

    from sampler.store.prompt_table import PageFilter

    tried = PageFilter(min_samples=1)
    of_all = table.query(f"'all' AS name, {_BY_TYPE}", tried)
    by_type = table.query(f"question_type AS name, {_BY_TYPE}", tried, "GROUP BY ALL ORDER BY name")
    shown = Table(
        "question type", "tried", "samples", "pass rate", "solved", "in between", "unknown", "hopeless"
    )
    for row in [*of_all.to_pylist(), *by_type.to_pylist()]:
        numbers = (row["solved"], row["between"], row["unknown"], row["hopeless"])
        rate = "" if row["mean"] is None else f"{row['mean']:.1%}"
        cells = (f"{row['tried']:,}", f"{row['samples'] or 0:,}", rate, *(f"{num:,}" for num in numbers))
        shown.add_row(row["name"], *cells)
    console.print(shown)


def _print_histogram(console: Console, table: PromptTable) -> None:
    from sampler.store.prompt_table import PageFilter

    place = f"least(floor(mean * {NUM_BINS}), {NUM_BINS - 1})::INT"
    found = table.query(f"{place} AS bin, count(*) AS num", PageFilter(min_samples=1), "GROUP BY bin")
    counts = dict(zip(found["bin"].to_pylist(), found["num"].to_pylist(), strict=True))
    console.print("believed pass rate")
    for index in range(NUM_BINS):
        count = counts.get(index, 0)
        bar = "#" * round(BAR_WIDTH * count / max(counts.values())) if count else ""
        edges = f"{index / NUM_BINS:4.0%} to {(index + 1) / NUM_BINS:4.0%}"
        console.print(f"  {edges} {count:8,} {bar}", highlight=False)


def _print_moves(console: Console, table: PromptTable) -> None:
    from rich.table import Table

    if not table.moves:
        return
    names = ("policy version", "tried before", "newly solved", "forgotten", "repaired")
    shown = Table(*names, title="the newest policies")
    for row in table.moves[-NUM_NEWEST:]:
        shown.add_row(*(f"{value:,}" for value in row.values()))
    console.print(shown)
