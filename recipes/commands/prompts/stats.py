"""`hone prompts stats`: how much of a run's prompts is solved, hopeless or not known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from recipes.commands.prompts.opened_store import HalfLife, Runs, opened_store

if TYPE_CHECKING:
    from rich.console import Console

    from recipes.report.drawing.curve import Curve
    from sampler.store.prompt_store import PromptStore
    from sampler.store.prompt_table import PromptTable

BAR_WIDTH = 40
NUM_NEWEST = 10
MAX_DRAWN = 30  # histograms in one file

Group = Literal["type", "source", "verifier", "tag", "split"]
COLUMNS: dict[Group, str] = {
    "type": "question_type",
    "source": "source",
    "verifier": "verifier",
    "tag": "unnest(tags)",
    "split": "split",
}

_STANDINGS = """
    count(*) AS tried, sum(n)::BIGINT AS samples, avg(mean) AS mean,
    avg(num_right / (num_right + num_wrong)) AS seen, count(*) FILTER (standing = 'solved') AS solved,
    count(*) FILTER (standing = 'in between') AS between, count(*) FILTER (standing = 'unknown') AS unknown,
    count(*) FILTER (standing = 'hopeless') AS hopeless
"""


def stats(
    runs: Runs,
    by: Annotated[Group, typer.Option(help="What the lines of the table are.")] = "type",
    split: Annotated[str | None, typer.Option(help="Only this one, such as train or heldout.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw a histogram a line, and the moves, as this SVG file.")
    ] = None,
    half_life: HalfLife = 32.0,
) -> None:
    """Per question type or by what --by says: prompts, samples, pass rate, how many are solved, hopeless, in between
    or unknown; moves between policies; a histogram of believed pass rates."""
    from recipes.commands.output.console import plain_console
    from recipes.commands.output.out_file import require_out
    from recipes.commands.prompts.profile import few_samples_note
    from sampler.store.prompt_table import PromptTable
    from verifiers.errors import BadInput, near_name

    require_out(plot, ".svg", option="--plot")
    console = plain_console()
    with opened_store(runs) as (store, run):
        table = PromptTable(store, run, half_life=half_life)
        counts = table.splits()
        if split is not None and split not in counts:
            raise BadInput(f"no prompt of {run} is in split {split!r}{near_name(split, counts)}")
        sets = ", ".join(f"{num:,} {name}" for name, num in counts.items())
        num_tried = int(table.tried("count(DISTINCT prompt_id)", split=split).column(0)[0].as_py())
        of_split = "" if split is None else f" of {split}"
        console.print(f"{run}: {sets or 'no'} prompts, {num_tried:,}{of_split} tried")
        lines = _lines(table, split, COLUMNS[by])
        _print_lines(console, "question type" if by == "type" else by, lines)
        _print_histogram(console, lines[0])
        if note := few_samples_note(table.tried("median(n)", split=split).column(0)[0].as_py()):
            console.print(note)
        _print_profiled(console, store, run, lines[0])
        _print_moves(console, table)
        if plot is not None:
            _draw(plot, run, lines, table)
            console.print(f"drawn in {plot}", highlight=False)


def _lines(table: PromptTable, split: str | None, column: str) -> list[dict[str, Any]]:
    """Those of the prompts tried, all of them first: standings and the bins of their pass rates."""
    from recipes.report.drawing.histogram import NUM_BINS, bins_of

    place = f"least(floor(mean * {NUM_BINS}), {NUM_BINS - 1})::INT"
    lines, binned = list[dict[str, Any]](), dict[str, dict[int, int]]()
    for name in ("'all'", column):
        grouped = table.tried(f"{name} AS name, {_STANDINGS}", "GROUP BY ALL ORDER BY name", split=split)
        lines += [{**row, "name": row["name"] or "(none)"} for row in grouped.to_pylist()]
        bins = table.tried(f"{name} AS name, {place} AS bin, count(*) AS num", "GROUP BY ALL", split=split)
        for row in bins.to_pylist():
            binned.setdefault(row["name"] or "(none)", {})[row["bin"]] = row["num"]
        if not lines:
            lines = [{"name": "all", "tried": 0, "samples": 0, "mean": None, "seen": None, "solved": 0, "between": 0,
                      "unknown": 0, "hopeless": 0}]  # fmt: skip
    return [{**line, "bins": bins_of(binned.get(line["name"], {}))} for line in lines]


def _print_lines(console: Console, title: str, lines: list[dict[str, Any]]) -> None:
    from rich.table import Table

    shown = Table(title, "tried", "samples", "pass rate", "solved", "in between", "unknown", "hopeless")
    for row in lines:
        rate = "" if row["mean"] is None else f"{row['mean']:.1%}"
        numbers = (f"{row[name] or 0:,}" for name in ("solved", "between", "unknown", "hopeless"))
        shown.add_row(str(row["name"]), f"{row['tried']:,}", f"{row['samples'] or 0:,}", rate, *numbers)
    console.print(shown)
    if (seen := lines[0]["seen"]) is not None:
        console.print(
            "pass rate: as believed (with half a right and half a wrong sample more), mean over prompts; of the "
            f"samples alone it is {seen:.1%}",
            highlight=False,
        )


def _print_histogram(console: Console, line: dict[str, Any]) -> None:
    console.print("believed pass rate")
    bins = line["bins"]
    for index, count in enumerate(bins):
        bar = "#" * round(BAR_WIDTH * count / max(bins)) if count else ""
        edges = f"{index / len(bins):4.0%} to {(index + 1) / len(bins):4.0%}"
        console.print(f"  {edges} {count:8,} {bar}", highlight=False)


def _print_profiled(console: Console, store: PromptStore, run: str, line: dict[str, Any]) -> None:
    """What a profile decided: its few samples say on which side of its band a prompt is, seldom its standing."""
    rows = store.query(
        "SELECT shown, band_low, band_high, count(*) FILTER (decision = 'below') AS below, "
        "count(*) FILTER (decision = 'inside') AS inside, count(*) FILTER (decision = 'above') AS above "
        "FROM profiled WHERE run = ? GROUP BY ALL ORDER BY shown DESC",
        [run],
    ).to_pylist()
    ways = {"whole": "", "blind": " without pictures", "caption": " with captions"}
    for row in rows:
        low, high = row["band_low"], row["band_high"]
        console.print(
            f"decided by the profile{ways[row['shown']]}: up to {low:.0%} {row['below']:,}, inside {row['inside']:,}, "
            f"above {high:.0%} {row['above']:,}",
            highlight=False,
        )
    if rows and 2 * (line["unknown"] or 0) > line["tried"]:
        console.print(
            "standings stay unknown: the samples that decide about a band are too few for them. Choose by the band, "
            f"`select --pass-rate {rows[0]['band_low']:g} {rows[0]['band_high']:g}`; for standings profile with "
            "`--per-pass` as many as `--samples`, 32 or more",
            highlight=False,
        )


def _print_moves(console: Console, table: PromptTable) -> None:
    from rich.table import Table

    if not table.moves:
        return
    names = ("policy version", "tried before", "newly solved", "forgotten", "repaired")
    shown = Table(*names, title="the newest policies")
    for row in table.moves[-NUM_NEWEST:]:
        shown.add_row(*(f"{value:,}" for value in row.values()))
    console.print(shown)


def _draw(file: Path, run: str, lines: list[dict[str, Any]], table: PromptTable) -> None:
    from recipes.report.drawing.histogram import Histogram, svg_file
    from sampler.atomic_file import write_atomically

    drawn = [
        Histogram(str(line["name"]), line["bins"], line["mean"] or 0.0) for line in lines if line["tried"]
    ]
    write_atomically(file, svg_file(f"{run}: believed pass rates", drawn[:MAX_DRAWN], _moves_curve(table)))


def _moves_curve(table: PromptTable) -> Curve | None:
    from recipes.report.drawing.curve import Curve, Series

    if len(table.moves) < 2:
        return None
    named = {"newly_solved": "newly solved", "forgotten": "forgotten", "repaired": "repaired"}
    series = [
        Series(
            words,
            tuple((float(row["policy_version"]), row[name] / row["tried_before"]) for row in table.moves),
            tone,
        )
        for tone, (name, words) in enumerate(named.items(), 1)
    ]
    return Curve(
        "Share of the prompts tried before that moved, by policy version", tuple(series), is_frac=True
    )
