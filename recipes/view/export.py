"""The prompts that a filter leaves, as a list of ids or as a prompt set, as people left them."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from recipes.view.opened import Snapshot
from recipes.view.prompt_filter import PromptFilter
from sampler.data.prompt_dataset import prompts_by_id, save_prompts
from sampler.prompt import Prompt
from sampler.store.decisions.curation import Curation
from verifiers.errors import BadInput

MAX_EXPORTED = 2_000_000


def exported_ids(snapshot: Snapshot, wanted: PromptFilter) -> list[tuple[str, str, str]]:
    """Run, split and id of every prompt that passes, in the filter's order."""
    table = snapshot.rows_table(wanted.policy)
    condition, parameters = wanted.where(snapshot)
    sql = f"SELECT run, split, prompt_id FROM {table} WHERE {condition} ORDER BY {wanted.order} LIMIT {MAX_EXPORTED}"
    return [(row["run"], row["split"], row["prompt_id"]) for row in snapshot.query(sql, parameters)]


def num_rejected(snapshot: Snapshot, wanted: PromptFilter) -> int:
    """How many rows that pass ``write_prompt_set`` leaves out."""
    if wanted.decision == "rejected":
        return 0
    condition, parameters = wanted.where(snapshot)
    rejected = f"SELECT (run, prompt_id) FROM {snapshot.decided_table()} WHERE NOT accepted"
    sql = f"""SELECT count(*) AS num FROM {snapshot.rows_table(wanted.policy)}
        WHERE (run, prompt_id) IN ({rejected}) AND {condition}"""
    return int(snapshot.query(sql, parameters)[0]["num"])


def write_prompt_set(path: Path, snapshot: Snapshot, wanted: PromptFilter) -> int:
    """The prompts with their pictures, corrected and tagged as decided, as Parquet; how many there are. Rejected ones
    are left out unless the filter asks for these. A prompt of two splits or runs is written once. Raises: BadInput
    where there is none whose set is known."""
    of_set: dict[tuple[str, str], list[str]] = defaultdict(list)
    for run, split, prompt_id in exported_ids(snapshot, wanted):
        of_set[run, split].append(prompt_id)
    prompts: dict[str, Prompt] = {}
    for (run, split), prompt_ids in of_set.items():
        location = snapshot.places[run].part.prompt_sets.get(split)
        if location is None:
            continue
        held = prompts_by_id(location, prompt_ids)
        for prompt_id in prompt_ids:
            curation = snapshot.curation_of(run, prompt_id) or Curation()
            is_left_out = curation.decision == "rejected" != wanted.decision
            if prompt_id in held and prompt_id not in prompts and not is_left_out:
                prompts[prompt_id] = curation.applied(held[prompt_id])
    if not prompts:
        raise BadInput("the filter leaves no prompt that is not rejected")
    save_prompts(path, prompts.values())
    return len(prompts)
