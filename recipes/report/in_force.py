"""Answers by the verdicts that count after corrections and later judging, beside what the log says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from recipes.report.attempt import Attempt
from rl.run.run_history import store_part, without_idle_sets
from sampler.store.decisions.curation import Curation
from sampler.store.prompt_store import PromptStore, StorePart

_LATER = """
    SELECT * FROM rejudged WHERE run = ? AND list_contains(?, prompt_id)
    QUALIFY row_number() OVER (PARTITION BY rollout_id, revision ORDER BY judging DESC) = 1
"""
_REVISIONS = """
    SELECT prompt_id, revision, correction FROM curation
    WHERE run = ? AND list_contains(?, prompt_id) AND revision IS NOT NULL
"""


@dataclass(frozen=True)
class RunInForce:
    """What counts of a run now, asked of a store that is open: what people decided, by prompt id; by prompt id the same
    attempts with the verdicts that count; the files of the log that hold a rollout of a prompt."""

    curated: Mapping[str, Curation]
    attempts: Callable[[Mapping[str, Sequence[Attempt]]], dict[str, tuple[Attempt, ...]]]
    shards: Callable[[str], list[Path]]

    @classmethod
    def of(cls, store: PromptStore, run: str) -> RunInForce:
        return cls(
            store.decisions[run].curated,
            partial(attempts_in_force, store, run),
            partial(store.shards_of, run),
        )


def part_of_stages(run: Path, stages: Sequence[str]) -> StorePart:
    """A run's share of a store, of the rollouts of these stages alone."""
    shards = [shard for stage in stages for shard in sorted((run / "rollouts" / stage).glob("*.parquet"))]
    # Counts of some shards are not for the file that holds those of all.
    part = without_idle_sets(store_part(run))
    relist = partial(part_of_stages, run, stages)
    return replace(part, rollout_files=shards, summary_file=None, relist=relist)


def attempts_in_force(
    store: PromptStore, run: str, attempts: Mapping[str, Sequence[Attempt]]
) -> dict[str, tuple[Attempt, ...]]:
    """By prompt id the same attempts with the verdicts that count, as ``answers_in_force`` of the store has them: the
    newest of the prompt's revision, the log's where that is of this revision, else none."""
    ids = list(attempts)
    later = {(row["rollout_id"], row["revision"]): row for row in store.query(_LATER, [run, ids]).to_pylist()}
    revisions = {row["prompt_id"]: row for row in store.query(_REVISIONS, [run, ids]).to_pylist()}
    pass_score = store.parts[run].pass_score

    def now(prompt_id: str, attempt: Attempt) -> Attempt:
        counts = revisions.get(prompt_id, {"revision": attempt.revision, "correction": 0})
        verdict = later.get((attempt.rollout_id, counts["revision"]))
        if verdict is not None:
            return attempt.judged_again(verdict, pass_score)
        is_of_log = attempt.revision == counts["revision"] or (
            attempt.revision is None and not counts["correction"]
        )
        return attempt if is_of_log else attempt.without_verdict

    return {name: tuple(now(name, attempt) for attempt in made) for name, made in attempts.items()}
