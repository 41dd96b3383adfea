"""`hone prompts mark`: prompts accepted, rejected or tagged, by events."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recipes.commands.prompts.opened_store import RunOrSet, opened, rows_of, whole_ids

if TYPE_CHECKING:
    from sampler.store.decisions.curation_events import Action, CurationEvent
    from sampler.store.decisions.event_log import EventLog

Author = Annotated[str | None, typer.Option(help="Who decides; without it the name of the login.")]
Reason = Annotated[str, typer.Option(help="Why, for whoever reads it later.")]
Undo = Annotated[
    bool, typer.Option("--undo", help="Take back the newest such decision; again, the one before.")
]
MARKS: tuple[Action, ...] = ("accept", "reject", "tag", "untag")


def mark(
    prompt_ids: Annotated[
        list[str], typer.Argument(metavar="ID...", help="Prompts, by the beginning of their ids.")
    ],
    run_or_set: RunOrSet,
    accept: Annotated[bool, typer.Option("--accept", help="Fit to train on.")] = False,
    reject: Annotated[bool, typer.Option("--reject", help="Runs that obey this leave it out.")] = False,
    tag: Annotated[list[str] | None, typer.Option(help="Give this tag; repeatable.")] = None,
    untag: Annotated[list[str] | None, typer.Option(help="Take this tag away; repeatable.")] = None,
    author: Author = None,
    reason: Reason = "",
    undo: Undo = False,
) -> None:
    """Accept, reject or tag prompts. Decisions are appended to RUN/curation.jsonl, or to F.curation.jsonl beside
    F.parquet; nothing else is changed."""
    from recipes.commands.output.console import plain_console
    from sampler.store.decisions.event_log import EventLog
    from verifiers.counted import counted
    from verifiers.errors import BadInput

    if accept and reject:
        raise BadInput("give --accept or --reject, not both")
    given: list[tuple[Action, str | None]] = [("tag", one) for one in tag or ()]
    given += [("untag", one) for one in untag or ()]
    if accept or reject:
        given.append(("accept" if accept else "reject", None))
    if bool(given) == undo:
        raise BadInput("say what: --accept, --reject, --tag, --untag; or --undo alone")
    log, by, console = EventLog.beside(run_or_set), author_of(author), plain_console()
    with opened(run_or_set) as (store, run):
        rows = rows_of(store, whole_ids(store, prompt_ids))
        files = store.parts[run].event_files
    for one in rows:
        if undo:
            event = undo_newest(log, files, one, MARKS, by, reason)
            console.print(f"{one}: undone: {said(event)}")
        for action, value in given:
            console.print(f"{one}: {said(log.append(one, action, value, author=by, reason=reason))}")
    if given:
        console.print(f"{counted(len(rows) * len(given), 'event')} in {log.path}")


def said(event: CurationEvent) -> str:
    """What was decided, in a few words."""
    return event.action if event.value is None else f"{event.action} {event.value!r}"


def author_of(given: str | None) -> str:
    """Raises: BadInput where nobody knows."""
    import getpass

    from verifiers.errors import BadInput

    try:
        return given or getpass.getuser()
    except (KeyError, OSError):
        raise BadInput("give --author: this login has no name") from None


def undo_newest(
    log: EventLog,
    files: Sequence[Path],
    prompt_id: str,
    actions: Sequence[Action],
    author: str,
    reason: str = "",
) -> CurationEvent:
    """Take back, by an event of ``log``, the newest of these decisions on the prompt that is in force by all ``files``
    that count for it; gives that one. Raises: BadInput where there is none."""
    from sampler.store.decisions.curation_events import in_force
    from sampler.store.decisions.event_log import EventLog, merged_events
    from verifiers.errors import BadInput

    for event in reversed(in_force(merged_events(map(EventLog, files)))):
        if event.prompt_id == prompt_id and event.action in actions:
            log.append(prompt_id, "undo", event.event_id, author=author, reason=reason, beside=files)
            return event
    raise BadInput(
        f"there is no such decision on {prompt_id} to undo: {log.path} and what lies beside has none"
    )
