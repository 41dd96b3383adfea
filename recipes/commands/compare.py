"""`hone compare RUN [STAGE STAGE]`: which held-out prompts flipped between two policies, both ways."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from recipes.report.prompts.flip_cards import InForce
    from recipes.report.prompts.flips import Flip, Flips, Side

NUM_SHOWN = 10


def compare(
    sides: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN [STAGE STAGE] | RUN [STAGE] RUN [STAGE]",
            help="Run directories, each with the stages that sampled; without stages the cold start and the last "
            "evaluation, of two runs the last of each.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="The page with pictures; RUN/compare.html of the last run by default.")
    ] = None,
    num: Annotated[int, typer.Option(min=0, help="Flips of each way on the terminal.")] = NUM_SHOWN,
    open_page: Annotated[bool, typer.Option("--open/--no-open", help="Show it in the web browser.")] = False,
) -> None:
    """Compare two policies, prompt by prompt: what was lost, what was gained, and whether it is more than noise.

    A prompt is right where at least half of its judged samples are. The exact McNemar test is of the flips; the
    interval of the change is a paired bootstrap over prompts."""
    from recipes.commands.output.out_file import require_out
    from recipes.report.prompts.compare_page import write_comparison
    from recipes.report.prompts.flip_cards import opened_sides
    from recipes.report.prompts.flips import flips_between

    before, after = _sides(sides)
    page = out if out is not None else after.run / "compare.html"
    require_out(page)
    flips = flips_between(before, after)
    with opened_sides(flips) as in_force:
        _print(flips, in_force, num)
        print(write_comparison(flips, in_force, page))
    if open_page:
        import webbrowser

        webbrowser.open(page.resolve().as_uri())


def _sides(words: list[str]) -> tuple[Side, Side]:
    """What stands before a run's stages is the run. Raises: BadInput where these are not two sides."""
    from recipes.report.prompts.flips import Side
    from rl.run.run_record import RunRecord
    from verifiers.errors import BadInput

    runs: list[tuple[RunRecord, list[str]]] = []
    for word in words:
        if not runs or Path(word).is_dir():
            runs.append((RunRecord.open(word), []))
        else:
            runs[-1][1].append(word)
    asked: list[tuple[RunRecord, str]] = []
    for run, stages in runs:
        known = [one for one in (run.cold_start, run.final) if one is not None]
        default = known if len(runs) == 1 and not stages else known[-1:]
        chosen = stages or [str(one["stage"]) for one in default]
        if len(runs) == 1 and len(stages) == 1:
            chosen = [*stages, *(str(one["stage"]) for one in known[-1:])]
        asked += [(run, _stage(run, stage)) for stage in chosen]
    if len(asked) != 2:
        raise BadInput(
            f"two policies are compared, these are {len(asked)}: give a run with two evaluations, a run and two of its "
            "stages, or two runs"
        )
    before, after = (Side.of(run, stage) for run, stage in asked)
    if before == after:
        raise BadInput(f"both sides are {before.stage} of {before.run}: give two")
    return before, after


def _stage(run: object, name: str) -> str:
    """A stage's name, its number, or what its evaluation is called ("round 1 RL"); else as it stands."""
    from recipes.report.evaluation import evaluation_label
    from rl.run.run_record import RunRecord

    assert isinstance(run, RunRecord)
    called = {evaluation_label(one): str(one["stage"]) for one in run.evaluations}
    folders = [folder.name for folder in (run.path / "rollouts").glob("*") if folder.is_dir()]
    number = name.lstrip("0") or "0"
    numbered = [folder for folder in folders if (folder.split("-", 1)[0].lstrip("0") or "0") == number]
    return called.get(name) or (numbered[0] if len(numbered) == 1 else name)


def _print(flips: Flips, in_force: InForce, num: int) -> None:
    from rich.table import Table

    from recipes.commands.output.console import plain_console

    console = plain_console()
    table = Table(
        "question type", "prompts", flips.before.label, flips.after.label, "points (95%)", "lost", "gained"
    )
    for row in flips.rows:
        change = row.change.in_points if row.change else "-"
        table.add_row(
            row.name, f"{row.num:,}", f"{row.before:.1%}", f"{row.after:.1%}", change, str(row.num_lost),
            str(row.num_gained),
        )  # fmt: skip
    console.print(table)
    console.print(
        f"{len(flips.lost):,} lost, {len(flips.gained):,} gained, {flips.num_stayed_right:,} stayed right, "
        f"{flips.num_stayed_wrong:,} wrong; exact McNemar test: p = {flips.p_value:.3g}",
        highlight=False,
    )
    if flips.num_otherwise:
        console.print(
            f"{flips.num_otherwise:,} of them come out otherwise than by the verdicts in the log: references were "
            "corrected, or answers judged again"
        )
    if flips.num_waiting:
        console.print(
            f"{flips.num_waiting:,} corrected prompts have no verdict by the new reference: `hone prompts rejudge`"
        )
    if flips.num_unpaired:
        console.print(f"{flips.num_unpaired:,} prompts were judged on one side only and are left out")
    for way in ("lost", "gained"):
        found = flips.of_way(way)[:num]
        if found:
            console.print(way)
            console.print(_flip_table(flips, in_force, found))


def _flip_table(flips: Flips, in_force: InForce, found: tuple[Flip, ...]) -> object:
    from rich.table import Column, Table

    from recipes.report.prompts.flip_cards import shown_flips

    shown = {pair.prompt.prompt_id: pair for pair in shown_flips(flips, found, in_force)}
    table = Table(
        Column("prompt", no_wrap=True, min_width=16), "question", "reference", "right",
        Column("answer before", overflow="fold"), Column("answer after", overflow="fold"),
    )  # fmt: skip
    for flip in found:
        pair = shown.get(flip.prompt_id)
        answers = ["", ""] if pair is None else [
            side.typical.answer.text[:40] if side.typical else "" for side in pair.sides
        ]  # fmt: skip
        asked = (
            ("", "") if pair is None else (pair.prompt.question.text[:60], pair.prompt.reference.text[:40])
        )
        table.add_row(flip.prompt_id, *asked, f"{flip.before:.0%} to {flip.after:.0%}", *answers)
    return table
