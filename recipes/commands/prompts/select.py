"""`hone prompts select`: a prompt set chosen by what the run knows of its prompts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recipes.commands.prompts.opened_store import HalfLife, Runs, opened_store

if TYPE_CHECKING:
    from rich.console import Console

    from sampler.store.prompt_store import PromptStore
    from sampler.store.selection import Selection


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
    min_samples: Annotated[
        int | None,
        typer.Option(min=1, help="Judged samples that a prompt needs. [default: 4, or a profile's decision]"),
    ] = None,
    min_spread: Annotated[float, typer.Option(help="Newest policy's best reward minus its mean.")] = 0.0,
    standing: Annotated[
        list[str] | None, typer.Option(help="solved, hopeless, in between, unknown; repeatable.")
    ] = None,
    move: Annotated[
        list[str] | None, typer.Option(help="newly solved, forgotten, repaired; repeatable.")
    ] = None,
    question_type: Annotated[list[str] | None, typer.Option(help="First tag; repeatable.")] = None,
    needs_picture: Annotated[
        bool,
        typer.Option("--needs-picture", help="Hardly ever right without the picture, and less than with it."),
    ] = False,
    suspects: Annotated[
        bool, typer.Option("--suspects", help="Many agreeing answers speak against the reference.")
    ] = False,
    keep_accepted: Annotated[
        bool, typer.Option("--keep-accepted", help="What somebody accepted is in, whatever the rule.")
    ] = False,
    against: Annotated[
        str | None, typer.Option(help="Hold the references against those of this split too: heldout.")
    ] = None,
    split: Annotated[str, typer.Option(help="train or heldout.")] = "train",
    half_life: HalfLife = 32.0,
    seed: int = 0,
    equal: Annotated[
        bool, typer.Option("--equal", help="Of every type as many as of the scarcest, though fewer in all.")
    ] = False,
) -> None:
    """Choose prompts by what the run knows of them, and write them as a prompt set with the rule beside it.

    It tells how many were left out for which reason, and how the distribution of references moved: a set that lost an
    answer teaches never to give it. Prompts that somebody rejected are left out; corrected ones are written as
    corrected."""
    from recipes.commands.output.console import plain_console
    from sampler.store.selection import SelectionRule
    from sampler.store.selection import select as choose
    from verifiers.errors import BadInput

    rule = SelectionRule(
        pass_rate=pass_rate,
        min_samples=min_samples,
        min_spread=min_spread,
        standings=tuple(standing or ()),
        moves=tuple(move or ()),
        question_types=tuple(question_type or ()),
        split=split,
        half_life=half_life,
        needs_picture=needs_picture,
        suspect=suspects,
        keep_accepted=keep_accepted,
    )
    with opened_store(runs, out) as (store, run):
        selection = choose(store, run, rule, num=num, seed=seed, against=against, equal=equal)
        if not selection.prompt_ids:
            raise BadInput(_why_none(selection))
        _write_selection(out, store, run, rule, selection, seed)
    _print_selection(plain_console(), selection, out, against)


def _why_none(selection: Selection) -> str:
    left_out = ", ".join(f"{why} {count:,}" for why, count in selection.dropped.items())
    few = any(why.startswith("too few samples") for why in selection.dropped)
    hint = ", such as --min-samples" if few else ""
    if "standing" in selection.dropped:
        hint += "; most standings take 30 samples or more, `--pass-rate` takes fewer"
    return f"the rule leaves no prompt ({left_out}): loosen it{hint}"


def _print_selection(console: Console, selection: Selection, out: Path, against: str | None) -> None:
    """What was left out for which reason, what came of each type, and how references moved."""
    from sampler.rows.dataset_rows import SELECTED

    console.print(
        f"{len(selection.prompt_ids):,} prompts in {out}; the rule and its evidence in {out.with_suffix(SELECTED).name}"
    )
    for why, count in selection.dropped.items():
        console.print(f"  left out, {why}: {count:,}")
    for name, count in selection.types.items():
        short = selection.asked is not None and count < selection.asked
        of_asked = f" of the {selection.asked:,} asked for" if short else ""
        console.print(f"  {name}: {count:,}{of_asked}", highlight=False)
    for name, share in selection.moved.items():
        console.print(f"  {name}: its mix of references is {share:.0%} away from the whole set's")
    for name, share in selection.apart.items():
        console.print(f"  {name}: its mix of references is {share:.0%} away from that of {against}")
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
    from sampler.data.prompt_dataset import prompts_by_id, save_prompts
    from sampler.rows.dataset_rows import SELECTED

    part = store.parts[run]
    location = part.prompt_sets[rule.split]
    by_id = prompts_by_id(location, selection.prompt_ids)
    decisions = store.decisions[run]
    save_prompts(out, [decisions.of_prompt(name).applied(by_id[name]) for name in selection.prompt_ids])
    provenance = {
        "run": run,
        "prompt_set": location,
        "rule": asdict(rule),
        "seed": seed,
        "curation_events": [event.event_id for event in decisions.events],
        "num_rollout_files": len(part.rollout_files),
        "newest_rollouts_sha256": content_hash(part.rollout_files[-1]) if part.rollout_files else None,
        **asdict(selection),
    }
    write_atomically(out.with_suffix(SELECTED), json.dumps(provenance, indent=2, ensure_ascii=False) + "\n")
