"""`hone prompts show`: one prompt and its history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from recipes.commands.prompts.opened_store import PromptId, Runs, opened_store, whole_ids

if TYPE_CHECKING:
    from rich.console import Console

    from sampler.store.prompt_store import PromptStore

HISTORY = {
    "decisions": "SELECT decided_at, author, action, value, previous, reason, in_force FROM events WHERE prompt_id = ?",
    "attempts": "SELECT run, stage, policy_version AS policy, revision, n, num_right, pass_rate, unjudged "
    "FROM attempts WHERE prompt_id = ? ORDER BY run, policy_version",
    "newest answers": "SELECT run, stage, policy_version AS policy, answer, reward AS logged, worth AS counts, "
    "CASE WHEN worth IS NULL THEN 'no verdict in force' "
    "ELSE coalesce(verdict_reason, CASE answer_status {broken_format} ELSE answer_status END) END AS why "
    'FROM given WHERE prompt_id = ? ORDER BY run, policy_version DESC, "index" LIMIT {answers}',
}


def show(
    prompt_id: PromptId,
    runs: Runs,
    answers: Annotated[int, typer.Option(min=0, help="Newest answers shown.")] = 12,
) -> None:
    """One prompt: what is asked, its reference, what people decided, its pass rate policy by policy, its newest
    answers."""
    import pyarrow as pa

    from recipes.commands.output.answer_table import print_table
    from recipes.commands.output.console import plain_console
    from sampler.store.belief import believed
    from sampler.store.sql_text import literal
    from verifiers.verifier import BROKEN_FORMAT

    console = plain_console()
    with opened_store(runs) as (store, run):
        (whole,) = whole_ids(store, [prompt_id])
        _print_prompt(console, store, run, whole)
        for one in believed(store, run, where=f"prompt_id = {literal(whole)}").to_pylist():
            rate = f"{one['mean']:.0%} ({one['low']:.0%} to {one['high']:.0%})"
            console.print(f"{one['standing']}: believed pass rate {rate}", highlight=False)
        given = pa.concat_tables(
            [store.answers_of(name, whole) for name in store.parts], promote_options="permissive"
        )
        broken_format = " ".join(
            f"WHEN {literal(status)} THEN {literal(words)}" for status, words in BROKEN_FORMAT.items()
        )
        for title, sql in HISTORY.items():
            asked = sql.format(answers=answers, broken_format=broken_format)
            found = store.query_with(asked, [whole], given=given)
            if found.num_rows:
                console.print(title)
                print_table(console, found)


def _print_prompt(console: Console, store: PromptStore, run: str, prompt_id: str) -> None:
    """As its set has it, and as it stands after corrections."""
    from sampler.store.decisions.curation_table import as_judged

    for row in store.query("SELECT * FROM prompts WHERE prompt_id = ? LIMIT 1", [prompt_id]).to_pylist():
        console.print(f"{prompt_id}: {row['question']}", highlight=False)
        console.print(f"reference {row['reference']!r}, verifier {row['verifier']}, tags {row['tags']}")
        curation = store.decisions[run].of_prompt(prompt_id)
        if curation.revision:
            now = curation.applied(as_judged(row))
            console.print(
                f"corrected to {now.reference_text!r}, verifier {now.verifier}, tags {list(now.tags)}"
            )
