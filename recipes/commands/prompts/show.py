"""`hone prompts show`: one prompt and its history."""

from __future__ import annotations

from typing import Annotated

import typer

from recipes.commands.prompts.opened_store import Runs, opened_store


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
    with opened_store(runs) as (store, run):
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
