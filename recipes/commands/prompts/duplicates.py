"""`hone prompts duplicates`: prompts of a set that are one, and those that are held out elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from recipes.report.pair_page import ComparedSet, PairGroup
    from rl.run.progress import ProgressDisplay
    from sampler.data.prompt_dataset import PromptDataset
    from sampler.duplicates.prompt_pair import PromptPair
    from sampler.duplicates.prompt_prints import PromptPrints
    from sampler.prompt import Prompt
    from sampler.store.decisions.curation import Curation


def duplicates(
    prompt_set: Annotated[str, typer.Argument(metavar="SET", help="A prompt set: file, folder or hub id.")],
    against: Annotated[
        list[str] | None, typer.Option(help="Held-out or benchmark set that must not be in it; repeatable.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write the pairs side by side as HTML here.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the set without them here (Parquet, pictures included).")
    ] = None,
    same_picture: Annotated[
        bool,
        typer.Option("--same-picture", help="--out leaves out held-out pictures with other questions too."),
    ] = False,
) -> None:
    """Find prompts that ask and show the same, exactly and nearly, and leaks of held-out sets.

    Compared are question, pictures and reference together: one picture with two questions is no duplicate, nor is one
    question over two pictures. Against held-out sets the reference does not count; questions without pictures are
    also compared by runs of twelve words. What people decided beside the set is obeyed, as `export` does."""
    from recipes.commands.output.console import plain_console
    from recipes.commands.output.out_file import require_out
    from recipes.report.pair_page import pair_groups
    from rl.run.progress import ProgressDisplay
    from sampler.duplicates.duplicate_pairs import duplicate_pairs
    from sampler.duplicates.leak_pairs import leak_pairs
    from sampler.store.decisions.event_log import EventLog

    sets = [Path(name) for name in (prompt_set, *(against or []))]
    require_out(report, option="--report", inputs=sets)
    require_out(out, ".parquet", inputs=sets)
    console, decided = plain_console(), EventLog.beside(prompt_set).curated()
    leaked: dict[str, Sequence[PromptPair]] = {}
    others: dict[str, ComparedSet] = {}
    with ProgressDisplay(console, announces=False) as display:
        own, prints, dataset = _read(prompt_set, display, decided)
        with display.stage("compare") as progress:
            within = duplicate_pairs(prints)
            progress.finish(f"{len(within):,} pairs")
        for name in against or []:
            others[name], theirs, _ = _read(name, display, {})
            leaked[name] = leak_pairs(theirs, prints)
    _tell(console, dataset, within, leaked)
    why = _left_out(own, others, within, leaked, same_picture=same_picture)
    if report is not None:
        groups = pair_groups("duplicates", within, own, own, why)
        for name, pairs in leaked.items():
            groups += pair_groups(f"held out in {name}", pairs, others[name], own, why)
        _write_report(console, report, prompt_set, groups)
    if out is not None:
        left_out = {name: "rejected" for name in dataset.locations if _is_rejected(name, decided)}
        left_out |= {own.prompts[at].prompt_id: reason for at, reason in sorted(why.items())}
        _write_without(console, out, prompt_set, own, list(leaked), left_out)


def _read(
    name: str, display: ProgressDisplay, decided: Mapping[str, Curation]
) -> tuple[ComparedSet, PromptPrints, PromptDataset]:
    """A set as people's decisions leave it, with what its prompts are compared by."""
    from recipes.report.pair_page import ComparedSet
    from sampler.data.prompt_dataset import load_prompt_dataset
    from sampler.duplicates.prompt_prints import PromptPrints

    with display.stage(f"read {name}") as progress:
        dataset = load_prompt_dataset(name, max_decoded=0)
        prompts: Sequence[Prompt] = dataset.prompts
        if decided:
            prompts = [
                decided[one.prompt_id].applied(one) if one.prompt_id in decided else one
                for one in prompts
                if not _is_rejected(one.prompt_id, decided)
            ]
        prints = PromptPrints.of(prompts)
        num_lost = len({one for key in prints.keys for one in key.shown}) - len(prints.pictures.index)
        lost = f", {num_lost:,} films or broken pictures compared by content" if num_lost else ""
        progress.finish(f"{len(prompts):,} prompts, {len(prints.pictures.index):,} pictures{lost}")
    return ComparedSet(prompts, dict(dataset.locations)), prints, dataset


def _is_rejected(prompt_id: str, decided: Mapping[str, Curation]) -> bool:
    return prompt_id in decided and decided[prompt_id].accepted is False


def _left_out(
    own: ComparedSet,
    others: Mapping[str, ComparedSet],
    within: Sequence[PromptPair],
    leaked: Mapping[str, Sequence[PromptPair]],
    *,
    same_picture: bool,
) -> dict[int, str]:
    """The prompts that ``--out`` leaves out, and why: of which prompt each is a copy."""
    from sampler.duplicates.duplicate_pairs import superfluous

    why = {at: f"duplicate of {own.prompts[stays].prompt_id}" for at, stays in superfluous(within).items()}
    for name, pairs in leaked.items():
        why |= {
            one.second: f"held out in {name} ({one.kind}) as {others[name].prompts[one.first].prompt_id}"
            for one in pairs
            if same_picture or one.kind != "picture"
        }
    return why


def _tell(
    console: Console,
    dataset: PromptDataset,
    within: Sequence[PromptPair],
    leaked: Mapping[str, Sequence[PromptPair]],
) -> None:
    from collections import Counter

    from sampler.duplicates.prompt_pair import SAYS

    if dataset.num_duplicates:
        console.print(
            f"{dataset.num_duplicates:,} rows repeat an earlier prompt to the letter: no run sees them twice"
        )
    for name, pairs in {
        "duplicates within": within,
        **{f"held out in {one}": leaked[one] for one in leaked},
    }.items():
        counts = Counter(pair.kind for pair in pairs)
        if not counts:
            console.print(f"{name}: none")
        for kind, count in counts.items():
            console.print(f"{name}, {kind}: {count:,} ({SAYS[kind]})", soft_wrap=True)


def _write_report(console: Console, report: Path, prompt_set: str, groups: Sequence[PairGroup]) -> None:
    from recipes.report.pair_page import pair_page
    from sampler.atomic_file import write_atomically

    num_pairs = sum(group.num_pairs for group in groups)
    write_atomically(report, pair_page("Duplicates and leaks", f"{prompt_set}: {num_pairs:,} pairs", groups))
    console.print(f"pairs side by side: {report}", soft_wrap=True)


def _write_without(
    console: Console,
    out: Path,
    prompt_set: str,
    own: ComparedSet,
    against: list[str],
    left_out: dict[str, str],
) -> None:
    """What is left, and beside it by prompt id what was left out and why."""
    import json

    from sampler.atomic_file import write_atomically
    from sampler.data.prompt_dataset import save_prompts
    from sampler.rows.dataset_rows import LEFT_OUT
    from verifiers.errors import BadInput

    num_kept = sum(one.prompt_id not in left_out for one in own.prompts)
    if not num_kept:
        raise BadInput("nothing would be left")
    save_prompts(out, (one for one in own.prompts if one.prompt_id not in left_out))
    beside = out.with_suffix(LEFT_OUT)
    made = {"prompt_set": prompt_set, "against": against, "num_kept": num_kept, "left_out": left_out}
    write_atomically(beside, json.dumps(made, indent=2, ensure_ascii=False) + "\n")
    console.print(
        f"{num_kept:,} prompts in {out}, {len(left_out):,} left out; which and why in {beside.name}",
        soft_wrap=True,
    )
