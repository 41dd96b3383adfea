"""`hone prompts review`: one prompt after another, decided by a key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from recipes.commands.prompts.deciding.mark import Author
from recipes.commands.prompts.opened_store import RunOrSet, opened

if TYPE_CHECKING:
    import pyarrow as pa

    from sampler.store.prompt_store import PromptStore

# Suspects first, the most suspect before; then what nobody decided about: hopeless before unknown before the others.
_WAITING = """
    SELECT prompt_id, answer, num_agree, num_answers, standing, mean, low, high, n FROM (
        SELECT prompts.*, mean, low, high, n, coalesce(standing, 'not tried') AS standing, correction, accepted,
               named.answer, named.num_agree, named.num_answers, named.place,
               list_position(['hopeless', 'unknown', 'in between', 'solved'], standing) AS rank
        FROM prompts LEFT JOIN beliefs USING (prompt_id) LEFT JOIN named USING (prompt_id)
        LEFT JOIN (SELECT * FROM curation WHERE run = $run) AS curation USING (prompt_id)
        WHERE prompts.run = $run AND split = $split
    ) WHERE accepted IS NULL AND (place IS NOT NULL OR ($what = 'unreviewed' AND coalesce(correction, 0) = 0))
        AND ({where})
    ORDER BY place NULLS LAST, rank NULLS LAST, md5(prompt_id)
"""


def review(
    run_or_set: RunOrSet,
    what: Annotated[
        Literal["suspects", "unreviewed"],
        typer.Option(
            help="References that answers speak against, or all that nobody decided about, these first."
        ),
    ] = "suspects",
    split: Annotated[str, typer.Option(help="train or heldout.")] = "train",
    where: Annotated[
        str, typer.Option(help="SQL that narrows it: \"list_contains(tags, 'chart') AND mean < 0.5\".")
    ] = "true",
    history: Annotated[
        Path | None, typer.Option(help="Of a prompt set: the run that sampled it, whose answers speak.")
    ] = None,
    author: Author = None,
) -> None:
    """Look at prompts one by one and decide by a key: accept, reject, tag, give the right reference, undo. Each
    decision is on disk at once, so stop and go on whenever you like."""
    from recipes.commands.output.console import plain_console
    from recipes.commands.prompts.deciding.mark import author_of
    from recipes.commands.prompts.deciding.review_session import ReviewSession
    from sampler.store.decisions.event_log import EventLog

    console = plain_console()
    with opened(run_or_set, *([] if history is None else [history])) as (store, name):
        sampled = next(iter(store.parts))
        waiting = _waiting(store, name, sampled, split, what, where)
        if not waiting.num_rows:
            console.print(f"{name}: {'no reference is suspect' if what == 'suspects' else 'all is decided'}")
            return
        log, by = EventLog.beside(run_or_set), author_of(author)
        session = ReviewSession(console, store, name, sampled, split, log, by)
        session.go_through(waiting)
    console.print(f"{len(session.decided):,} decided, in {session.log.path}")
    if num := sum(event.action == "correct" for _, event in session.decided):
        console.print(f"{num:,} corrected: `hone prompts rejudge` judges stored answers by it")


def _waiting(store: PromptStore, run: str, sampled: str, split: str, what: str, where: str) -> pa.Table:
    """A row a prompt, by the answers of the run ``sampled``. Raises: BadInput where there is nothing to suspect by, or
    ``where`` is wrong."""
    import pyarrow as pa

    from sampler.store.belief import believed
    from sampler.store.suspicion.suspects import SCHEMA, suspects
    from verifiers.errors import BadInput

    if what == "suspects" and not store.parts[sampled].rollout_files:
        raise BadInput(
            f"{run} holds no judged answer to suspect by: give --history RUN, a run that sampled its prompts, "
            "or --what unreviewed"
        )
    beliefs = believed(store, sampled).select(["prompt_id", "mean", "low", "high", "n", "standing"])
    is_sampled = what == "suspects" or store.parts[sampled].rollout_files
    found = suspects(store, sampled) if is_sampled else SCHEMA.empty_table()
    named = found.select(["prompt_id", "answer", "num_agree", "num_answers"])
    named = named.append_column("place", pa.array(range(named.num_rows), pa.int64()))
    sql = _WAITING.format(where=where)
    given = {"run": run, "split": split, "what": what}
    return store.query_with(sql, given, beliefs=beliefs, named=named)
