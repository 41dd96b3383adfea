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
    """How many prompts that pass ``write_prompt_set`` leaves out."""
    if wanted.decision == "rejected":
        return 0
    condition, parameters = wanted.where(snapshot)
    rejected = f"SELECT prompt_id FROM {snapshot.decided_table()} WHERE NOT accepted"
    sql = f"""SELECT count(DISTINCT prompt_id) AS num FROM {snapshot.rows_table(wanted.policy)}
        WHERE prompt_id IN ({rejected}) AND {condition}"""
    return int(snapshot.query(sql, parameters)[0]["num"])


def write_prompt_set(path: Path, snapshot: Snapshot, wanted: PromptFilter) -> int:
    """The prompts with their pictures, corrected and tagged as decided, as Parquet; how many there are. Those rejected
    in any place that is open are left out unless the filter asks for these. A prompt of two splits or runs is written
    once. Raises: BadInput where there is none whose set is known."""
    left_out = set[str]() if wanted.decision == "rejected" else _rejected(snapshot)
    of_set: dict[tuple[str, str], list[str]] = defaultdict(list)
    for run, split, prompt_id in exported_ids(snapshot, wanted):
        if prompt_id not in left_out:
            of_set[run, split].append(prompt_id)
    if not of_set:
        raise BadInput("the filter leaves no prompt that is not rejected")
    prompts: dict[str, Prompt] = {}
    for (run, split), prompt_ids in of_set.items():
        location = snapshot.places[run].part.prompt_sets.get(split)
        if location is None:
            continue
        held = prompts_by_id(location, prompt_ids)
        for prompt_id in prompt_ids:
            if prompt_id in held and prompt_id not in prompts:
                curation = snapshot.curation_of(run, prompt_id) or Curation()
                prompts[prompt_id] = curation.applied(held[prompt_id])
    if not prompts:
        raise BadInput("no set that is known holds these prompts: open the files that they are from")
    save_prompts(path, prompts.values())
    return len(prompts)


def _rejected(snapshot: Snapshot) -> set[str]:
    return {
        prompt_id
        for decided in snapshot.decisions.values()
        for prompt_id, curation in decided.curated.items()
        if curation.decision == "rejected"
    }
