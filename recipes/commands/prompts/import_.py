"""`hone prompts import`: a set as people have it becomes a prompt set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from sampler.imports.answer_options import AnswerReading
    from sampler.imports.prompt_import import BoxSpace, ImportPlan, ImportReport
    from sampler.prompt import PromptKind

MOST_SOURCES = 20  # each in a line of its own
MOST_LISTED = 10  # reasons why rows could not be imported, on the terminal; the file has every row


def import_(
    source: Annotated[
        str, typer.Argument(help="A file (.jsonl .json .parquet .csv .tsv .tar), a folder or a hub id.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="The prompt set to write (Parquet, pictures included).")
    ] = None,
    column: Annotated[
        list[str] | None, typer.Option(metavar="OURS=THEIRS", help="What the set calls a column; repeatable.")
    ] = None,
    verifier: Annotated[str | None, typer.Option(help="Judges rows that name none; else proposed.")] = None,
    verifier_options: Annotated[
        str | None, typer.Option(metavar="JSON", help="Options of --verifier.")
    ] = None,
    kind: Annotated[str | None, typer.Option(help="verifiable or general; else proposed.")] = None,
    split: Annotated[str | None, typer.Option(help="Of a folder or a hub set.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many prompts, from the first.")] = None,
    boxes: Annotated[str, typer.Option(help="What boxes are in: auto, pixel or norm1000.")] = "auto",
    answers: Annotated[
        str, typer.Option(help="How an answer names its option: auto, text, letter, index0 or index1.")
    ] = "auto",
    images: Annotated[Path | None, typer.Option(help="The folder that paths of pictures count from.")] = None,
    decode_all: Annotated[
        bool, typer.Option("--decode-all", help="Decode every picture, not the first 2,000 and headers.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read and check everything, write nothing.")
    ] = False,
) -> None:
    """Import what people have: OpenAI messages, verl, TRL, EasyR1, LLaVA, ShareGPT, Qwen's boxes, CSV, WebDataset.

    The format is recognised, a verifier is proposed for each source by how its references look, and each reference is
    judged against itself. Rows that are wrong are listed and left out. Exit status 1 when no row could be imported."""
    from recipes.commands.output.console import plain_console
    from recipes.commands.output.out_file import require_out
    from sampler.imports.prompt_import import ImportPlan
    from verifiers.errors import BadInput

    if out is None and not dry_run:
        raise BadInput("give --out SET.parquet, or --dry-run")
    require_out(out, ".parquet", inputs=[Path(source)])
    _require_known(kind, boxes, answers)
    plan = ImportPlan(
        columns=_columns(column or []),
        kind=cast("PromptKind | None", kind),
        verifier=verifier,
        verifier_options=_verifier_options(verifier, verifier_options),
        split=split,
        limit=limit,
        boxes=cast("BoxSpace", boxes),
        images=images,
        decodes_all=decode_all,
        answers=None if answers == "auto" else cast("AnswerReading", answers),
    )
    console, target = plain_console(), None if dry_run else out
    report = _imported(console, source, target, plan)
    _tell(console, report, plan)
    if target is not None:
        _write_beside(console, target, source, report, plan)
    if not report.num_imported:
        raise typer.Exit(1)


def _imported(console: Console, source: str, target: Path | None, plan: ImportPlan) -> ImportReport:
    """Read, and written where there is a ``target``, with a line that counts."""
    from rl.run.progress import Outcome, ProgressDisplay
    from sampler.imports.prompt_import import import_prompts

    with ProgressDisplay(console, announces=False) as display, display.stage(f"import {source}") as progress:

        def on_part(done: int, total: int, num_prompts: int) -> None:
            progress.total_steps = total
            progress.title = f"import {source}, {num_prompts:,} prompts"
            progress.advance()

        report = import_prompts(source, target, plan, on_part=on_part)
        rate = report.num_imported / max(progress.elapsed_s, 1e-9)
        progress.title = f"import {source}"
        outcome: Outcome = "failed" if not report.num_imported else "warning" if report.rejected else "ok"
        progress.finish(f"{report.num_imported:,} prompts, {rate:,.0f} a second", outcome)
    return report


def _columns(given: list[str]) -> dict[str, str]:
    """Theirs by ours. Raises: BadInput."""
    from verifiers.errors import BadInput

    columns = {}
    for pair in given:
        ours, equals, theirs = pair.partition("=")
        if not (ours and equals and theirs):
            raise BadInput(f"--column is OURS=THEIRS, such as reference=label, got {pair!r}")
        columns[ours] = theirs
    return columns


def _require_known(kind: str | None, boxes: str, answers: str) -> None:
    """Raises: BadInput for a word that is none of an option's."""
    from typing import get_args

    from sampler.imports.answer_options import READINGS
    from sampler.imports.prompt_import import BoxSpace
    from sampler.prompt import PROMPT_KINDS
    from verifiers.errors import BadInput, near_name

    for name, value, known in (
        ("kind", kind, PROMPT_KINDS),
        ("boxes", boxes, get_args(BoxSpace)),
        ("answers", answers, ("auto", *READINGS)),
    ):
        if value is not None and value not in known:
            raise BadInput(f"--{name} is {' or '.join(known)}, got {value!r}{near_name(value, known)}")


def _verifier_options(verifier: str | None, given: str | None) -> dict[str, Any]:
    """Raises: BadInput."""
    import json

    from verifiers.errors import BadInput

    try:
        options = json.loads(given) if given else {}
    except ValueError as why:
        raise BadInput(f"--verifier-options is JSON such as '{{\"abs_tol\": 0.1}}': {why}") from None
    if not isinstance(options, dict) or (options and verifier is None):
        raise BadInput("--verifier-options is a JSON object of options of --verifier")
    return options


def _tell(console: Console, report: ImportReport, plan: ImportPlan) -> None:
    for name, count in report.survey.formats.most_common():
        console.print(f"format: {name} ({count:,} rows looked at)", soft_wrap=True)
    _tell_judges(console, report)
    if report.num_duplicates:
        console.print(f"left out, they repeat an earlier row: {report.num_duplicates:,}")
    if extra := [column.name for column in report.unread_columns]:
        kept = "" if "tags" in plan.columns else f" (to keep one: --column tags={extra[0][:60]})"
        console.print(f"not read: {', '.join(extra)[:300]}{kept}", soft_wrap=True)
    for remark in report.remarks.named():
        console.print(f"! {remark}", soft_wrap=True)
    if report.rejected:
        console.print(f"{len(report.rejected):,} rows could not be imported:")
        places: dict[str, list[str]] = {}
        for row in report.rejected:
            places.setdefault(row.why, []).append(row.location)
        for why, of_rows in list(places.items())[:MOST_LISTED]:
            others = f" and {len(of_rows) - 1:,} more" if len(of_rows) > 1 else ""
            console.print(f"  {of_rows[0]}{others}: {why}", soft_wrap=True)
        if (more := sum(map(len, list(places.values())[MOST_LISTED:]))) > 0:
            console.print(f"  and {more:,} more")
        if any("there is no such column" in why for why in places):
            console.print("say what the set calls its columns: --column messages=THEIRS, repeatable")


def _tell_judges(console: Console, report: ImportReport) -> None:
    """By source what judges, and why: as proposed for it, or as its rows say."""
    from collections import Counter

    from verifiers.counted import counted

    merged = len(report.num_of_source) > MOST_SOURCES
    judged = Counter[tuple[str, str | None]]()
    for (source, verifier), count in report.num_judged.items():
        judged["" if merged else source, verifier] += count
    for (source, verifier), count in sorted(judged.items(), key=lambda item: (item[0][0], -item[1])):
        proposal = report.proposals.get(source, report.proposals[""])
        words = f"{source or 'the set'}: {counted(count, 'prompt')} judged by {verifier or 'a reward model'}"
        says_so = source in report.survey.general_sources and not proposal.num_seen
        if verifier != proposal.verifier or says_so:
            console.print(f"{words} (as the rows say)", soft_wrap=True)
            continue
        space = "in pixels turned into" if proposal.pixel_boxes else "taken for"
        turned = f"; boxes {space} 0..999: {proposal.boxes}" if proposal.boxes else ""
        named = f"; answers name their options by {' or '.join(proposal.answers)}" if proposal.answers else ""
        console.print(f"{words} ({proposal.why}){turned}{named}", soft_wrap=True)


def _write_beside(console: Console, out: Path, source: str, report: ImportReport, plan: ImportPlan) -> None:
    """How the set was made, and the rows that are not in it."""
    import json
    from dataclasses import asdict

    from sampler.atomic_file import write_atomically
    from sampler.rows.dataset_rows import IMPORTED, REJECTED

    rejected = out.with_suffix(REJECTED)
    lines = [
        json.dumps({"row": row.location, "why": row.why}, ensure_ascii=False)
        for row in (*report.rejected, *report.repeated)
    ]
    if lines:
        write_atomically(rejected, "\n".join(lines) + "\n")
    else:
        rejected.unlink(missing_ok=True)
    if not report.num_imported:
        console.print(f"nothing could be imported; why is in {rejected}", soft_wrap=True)
        return
    made: dict[str, Any] = {
        "source": source,
        "plan": {**asdict(plan), "images": None if plan.images is None else str(plan.images)},
        "formats": dict(report.survey.formats),
        "judges": {name: asdict(one) for name, one in report.proposals.items()},
        "num_imported": report.num_imported,
        "num_of_source": dict(report.num_of_source),
        "num_duplicates": report.num_duplicates,
        "num_rejected": len(report.rejected),
    }
    beside = out.with_suffix(IMPORTED)
    write_atomically(beside, json.dumps(made, indent=2, ensure_ascii=False) + "\n")
    also = f", {rejected.name}" if lines else ""
    console.print(f"{out}; beside it {beside.name}{also}", soft_wrap=True)
