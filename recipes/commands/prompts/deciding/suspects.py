"""`hone prompts suspects`: references that the answers speak against."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recipes.commands.prompts.opened_store import Runs, opened_store

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.console import Console

MOST_SHOWN = 100


def suspects(
    runs: Runs,
    min_agree: Annotated[int, typer.Option(min=1, help="Answers that are wrong in the same way.")] = 4,
    min_share: Annotated[float, typer.Option(min=0, max=1, help="Their share of all judged answers.")] = 0.5,
    usual: Annotated[
        bool,
        typer.Option(
            "--usual", help="Also what the policy's usual mistakes explain as well; they come last."
        ),
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Write all as Parquet here.")] = None,
) -> None:
    """Prompts to whose reference many answers object in the same words, the most suspect first: by how much likelier
    the answers are if they are right than if the policy is wrong as it is elsewhere. Those that somebody accepted or
    rejected are left out. `hone prompts review` goes through them one by one."""
    import pyarrow.compute as pc

    from recipes.commands.output.answer_table import write_table
    from recipes.commands.output.console import plain_console
    from sampler.store.suspicion.suspects import suspects as find

    console = plain_console()
    with opened_store(runs, out) as (store, run):
        every = find(store, run, min_agree=min_agree, min_share=min_share, with_usual=True)
    found = every if usual else every.filter(pc.invert(every["is_usual"]))
    if out is not None:
        write_table(console, out, every, "suspect")
    _print_left_out(console, every.num_rows - found.num_rows)
    if out is not None:
        return
    if not found.num_rows:
        console.print(f"{run}: no reference is suspect")
        return
    _print_found(console, found)


def _print_found(console: Console, found: pa.Table) -> None:
    from rich.table import Table

    from verifiers.verifier import shown

    table = Table()
    table.add_column("prompt", no_wrap=True)
    for title in ("type", "reference", "answers say", "how many", "right", "usual", "likelier"):
        table.add_column(title)
    for row in found.slice(0, MOST_SHOWN).to_pylist():
        texts = (shown(row[name] or "", 40) for name in ("question_type", "reference", "answer"))
        agree = f"{row['num_agree']:,} of {row['num_answers']:,}"
        table.add_row(
            row["prompt_id"], *texts, agree, f"{row['num_right']:g}", f"{row['usual']:.0%}",
            f"{row['ratio']:,.0f} times" if row["ratio"] >= 1 else f"{row['ratio']:.2f} times",
        )  # fmt: skip
    console.print(table)
    console.print(
        "usual: its share of the wrong answers to other prompts of the type; likelier: what was answered, if it is "
        "right and not the reference"
    )
    if found.num_rows > MOST_SHOWN:
        console.print(f"{found.num_rows - MOST_SHOWN:,} more: --out FILE.parquet writes all")


def _print_left_out(console: Console, num: int) -> None:
    if num:
        console.print(
            f"{num:,} more where the policy is as likely to be wrong as the reference, by what it says to other "
            "prompts of the type; --usual lists them, --out marks them is_usual",
            highlight=False,
        )
