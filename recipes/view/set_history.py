"""A prompt set's history: a prompt of it is known by its id to the runs that were opened beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from verifiers.errors import BadInput

if TYPE_CHECKING:
    from sampler.store.prompt_store import PromptStore

# Of several runs that tried a prompt the one given last is believed. `corrected` are prompts that are judged otherwise
# in the set than in the run.
_KNOWN = """
    SELECT p.run, p.split, b.* EXCLUDE (run, split, place) FROM prompts p JOIN beliefs b USING (prompt_id)
    WHERE list_contains($sets, p.run) AND (p.run, b.run, prompt_id) NOT IN (SELECT * FROM corrected)
    QUALIFY row_number() OVER (PARTITION BY p.run, p.split, prompt_id ORDER BY place DESC) = 1
"""
_CORRECTED = pa.schema([(name, pa.string()) for name in ("prompt_set", "run", "prompt_id")])


def beliefs_of_sets(store: PromptStore, beliefs: pa.Table) -> pa.Table:
    """What the runs' ``beliefs`` come to for the prompts of each set that has no rollouts of its own."""
    sets = [name for name, part in store.parts.items() if not part.rollout_files]
    if not sets or not beliefs.num_rows:
        return beliefs.slice(0, 0)
    order = list(store.parts)
    placed = beliefs.append_column(
        "place", pa.array(map(order.index, beliefs["run"].to_pylist()), pa.int64())
    )
    rows = [
        {"prompt_set": name, "run": run, "prompt_id": prompt_id}
        for name in sets
        for run in order
        if run not in sets
        for prompt_id in judged_otherwise(store, name, run)
    ]
    corrected = pa.Table.from_pylist(rows, schema=_CORRECTED)
    return store.query_with(_KNOWN, {"sets": sets}, beliefs=placed, corrected=corrected)


def suspects_of_all(store: PromptStore) -> pa.Table:
    """A row (run, prompt_id) for each prompt whose reference the answers speak against: of the runs, and of the sets
    beside them by these runs' answers."""
    from sampler.store.suspicion.suspects import suspects

    sets = [name for name, part in store.parts.items() if not part.rollout_files]
    rows = set()
    for run in (name for name in store.parts if name not in sets):
        try:
            found = suspects(store, run)["prompt_id"].to_pylist()
        except BadInput:  # no judged answer to suspect by
            continue
        rows |= {(run, prompt_id) for prompt_id in found}
        for one in sets:
            rows |= {(one, prompt_id) for prompt_id in set(found) - judged_otherwise(store, one, run)}
    columns = zip(*sorted(rows), strict=True) if rows else ((), ())
    return pa.table([pa.array(column, pa.string()) for column in columns], ["run", "prompt_id"])


def judged_otherwise(store: PromptStore, prompt_set: str, run: str) -> set[str]:
    """Prompts that somebody corrected in the set and not, or otherwise, in the run."""
    here, there = (store.decisions[name].corrections for name in (prompt_set, run))
    return {prompt_id for prompt_id, judged_by in here.items() if judged_by != there.get(prompt_id)}
