"""`hone prompts`: what runs know of their prompts, asked, counted, and chosen by."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from sampler.store.prompt_store import PromptStore
    from sampler.store.selection import Selection

app = typer.Typer(
    help="The history of prompts: statistics, queries, one prompt, selections.", no_args_is_help=True
)

Runs = Annotated[
    list[Path], typer.Argument(metavar="RUN...", help="Run directories; beliefs are those of the last.")
]
HalfLife = Annotated[
    float, typer.Option(min=0.1, help="Policy versions after which a sample counts half for the belief.")
]
BAR_WIDTH = 40
NUM_BINS = 10


@app.command()
def stats(runs: Runs, half_life: HalfLife = 32.0) -> None:
    """Per question type: prompts, samples, pass rate, how many are solved, hopeless, in between or unknown; moves; a
    histogram of believed pass rates."""
    from rich.table import Table

    from recipes.commands.output.console import plain_console
    from sampler.store.belief import believed

    console = plain_console()
    with _opened(runs) as (store, run):
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


@app.command()
def query(
    sql: Annotated[str, typer.Argument(help="Over the views prompts, rollouts, attempts, turnover.")],
    runs: Runs,
    out: Annotated[Path | None, typer.Option(help="Write the answer as Parquet here.")] = None,
) -> None:
    """Ask the store in SQL: SELECT verifier, avg(pass_rate) FROM attempts GROUP BY 1."""
    from recipes.commands.output.answer_table import print_table, write_table
    from recipes.commands.output.console import plain_console

    with _opened(runs) as (store, _):
        found = store.query(sql)
    if out is not None:
        write_table(out, found)
        return
    print_table(plain_console(), found)


@app.command()
def show(
    prompt_id: Annotated[str, typer.Argument(help="The prompt's id, or the beginning of it.")],
    runs: Runs,
    answers: Annotated[int, typer.Option(min=0, help="Newest answers shown.")] = 12,
) -> None:
    """One prompt: what is asked, its reference, its pass rate policy by policy, its newest answers."""
    from recipes.commands.output.answer_table import print_table
    from recipes.commands.output.console import plain_console
    from sampler.store.belief import believed
    from verifiers.errors import BadInput

    console = plain_console()
    with _opened(runs) as (store, run):
        # A prefix as a range: "%" and "_" in an id are no wildcards.
        ids = store.query(
            "SELECT DISTINCT prompt_id FROM (SELECT prompt_id FROM prompts UNION ALL SELECT prompt_id FROM rollouts) "
            "WHERE starts_with(prompt_id, ?) ORDER BY prompt_id LIMIT 2",
            [prompt_id],
        )["prompt_id"].to_pylist()
        if not ids or (len(ids) > 1 and ids[0] != prompt_id):
            raise BadInput(
                f"{'no prompt has' if not ids else 'several prompts have'} an id that begins with {prompt_id!r}"
            )
        prompts = store.query("SELECT * FROM prompts WHERE prompt_id = ?", ids[:1]).to_pylist()
        for prompt in prompts[:1]:
            console.print(f"{ids[0]}: {prompt['question']}", highlight=False)
            console.print(
                f"reference {prompt['reference']!r}, verifier {prompt['verifier']}, tags {prompt['tags']}"
            )
        for one in believed(store, run).to_pylist():
            if one["prompt_id"] == ids[0]:
                rate = f"{one['mean']:.0%} ({one['low']:.0%} to {one['high']:.0%})"
                console.print(f"{one['standing']}: believed pass rate {rate}", highlight=False)
        for title, sql in {
            "attempts": "SELECT run, stage, policy_version, n, num_right, pass_rate, reward_mean, unjudged "
            "FROM attempts WHERE prompt_id = ? ORDER BY run, policy_version",
            "newest answers": "SELECT run, stage, policy_version, answer, reward, "
            "coalesce(verdict_reason, answer_status) AS why FROM rollouts "
            f'WHERE prompt_id = ? ORDER BY run, policy_version DESC, "index" LIMIT {answers}',
        }.items():
            found = store.query(sql, ids[:1])
            if found.num_rows:
                console.print(title)
                print_table(console, found)


@app.command()
def select(
    runs: Runs,
    out: Annotated[Path, typer.Option(help="The prompt set to write (Parquet, pictures included).")],
    num: Annotated[
        int | None, typer.Option(min=1, help="At most so many, evenly over types and references.")
    ] = None,
    pass_rate: Annotated[tuple[float, float], typer.Option(help="Believed pass rate, from and to.")] = (
        0.0,
        1.0,
    ),
    min_samples: Annotated[int, typer.Option(min=1, help="Judged samples that a prompt needs.")] = 4,
    min_spread: Annotated[float, typer.Option(help="Newest policy's best reward minus its mean.")] = 0.0,
    standing: Annotated[
        list[str] | None, typer.Option(help="solved, hopeless, in between, unknown; repeatable.")
    ] = None,
    move: Annotated[
        list[str] | None, typer.Option(help="newly solved, forgotten, repaired; repeatable.")
    ] = None,
    question_type: Annotated[list[str] | None, typer.Option(help="First tag; repeatable.")] = None,
    split: Annotated[str, typer.Option(help="train or heldout.")] = "train",
    half_life: HalfLife = 32.0,
    seed: int = 0,
) -> None:
    """Choose prompts by what the run knows of them, and write them as a prompt set with the rule beside it.

    It tells how many were left out for which reason, and how the distribution of references moved: a set that lost an
    answer teaches never to give it."""
    from recipes.commands.output.console import plain_console
    from sampler.atomic_file import require_writable
    from sampler.store.selection import SelectionRule
    from sampler.store.selection import select as choose
    from verifiers.errors import BadInput

    require_writable(out)
    if out.suffix != ".parquet":
        raise BadInput(f"--out is a .parquet file, got {out.name}")
    rule = SelectionRule(
        pass_rate, min_samples, min_spread, tuple(standing or ()), tuple(move or ()), tuple(question_type or ()), split,
        half_life,
    )  # fmt: skip
    with _opened(runs) as (store, run):
        selection = choose(store, run, rule, num=num, seed=seed)
        if not selection.prompt_ids:
            left_out = ", ".join(f"{why} {count:,}" for why, count in selection.dropped.items())
            raise BadInput(f"the rule leaves no prompt ({left_out}): loosen it")
        _write_selection(out, store, run, rule, selection, seed)
    console = plain_console()
    console.print(
        f"{len(selection.prompt_ids):,} prompts in {out}; the rule and its evidence in {out.stem}.selection.json"
    )
    for why, count in selection.dropped.items():
        console.print(f"  left out, {why}: {count:,}")
    for name, share in selection.moved.items():
        console.print(f"  {name}: the shares of its references moved by {share:.0%}")
    for warning in selection.warnings:
        console.print(f"! {warning}")


def _write_selection(
    out: Path, store: PromptStore, run: str, rule: Any, selection: Selection, seed: int
) -> None:
    """The prompts in their order, and beside them what they were chosen by."""
    import json
    from dataclasses import asdict

    from rl.run.provenance import content_hash
    from sampler.atomic_file import write_atomically
    from sampler.data.prompt_dataset import load_prompts, save_prompts

    part = store.parts[run]
    location = part.prompt_sets[rule.split]
    by_id = {prompt.prompt_id: prompt for prompt in load_prompts(location, max_decoded=0)}
    save_prompts(out, [by_id[name] for name in selection.prompt_ids])
    provenance = {
        "run": run,
        "prompt_set": location,
        "rule": asdict(rule),
        "seed": seed,
        "num_rollout_files": len(part.rollout_files),
        "newest_rollouts_sha256": content_hash(part.rollout_files[-1]),
        **asdict(selection),
    }
    write_atomically(
        out.with_suffix(".selection.json"), json.dumps(provenance, indent=2, ensure_ascii=False) + "\n"
    )


@contextmanager
def _opened(runs: list[Path]) -> Iterator[tuple[PromptStore, str]]:
    """The store of these runs, and the name of the last."""
    from rl.run.run_history import store_part
    from sampler.store.prompt_store import PromptStore

    parts = [store_part(run) for run in runs]
    with PromptStore(parts) as store:
        yield store, parts[-1].run


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
