"""A prompt set's history: a prompt of it is known by its id to the runs that were opened beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from recipes.view.opened import Place, Snapshot
    from sampler.store.decisions.curation_table import Decisions
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
        for prompt_id in _judged_otherwise(store, name, run)
    ]
    corrected = pa.Table.from_pylist(rows, schema=_CORRECTED)
    return store.query_with(_KNOWN, {"sets": sets}, beliefs=placed, corrected=corrected)


def log_of(snapshot: Snapshot, place: Place, prompt_id: str) -> Place:
    """Where the prompt's answers lie: its own place, or for a set the last run opened beside it that tried it."""
    if place.part.rollout_files:
        return place
    sql = "SELECT DISTINCT run FROM attempts WHERE prompt_id = ?"
    tried = {row["run"] for row in snapshot.query(sql, [prompt_id])}
    beside = [
        one
        for name, one in snapshot.places.items()
        if name in tried and prompt_id not in _judged_otherwise(snapshot.store, place.name, name)
    ]
    return beside[-1] if beside else place


def _judged_otherwise(store: PromptStore, prompt_set: str, run: str) -> set[str]:
    """Prompts that somebody corrected in the set and not, or otherwise, in the run."""
    here, there = store.decisions[prompt_set], store.decisions[run]

    def judged_by(decisions: Decisions, prompt_id: str) -> tuple[object, object]:
        curation = decisions.of_prompt(prompt_id)
        return curation.reference, curation.verifier

    return {one for one in here.corrections if judged_by(here, one) != judged_by(there, one)}
