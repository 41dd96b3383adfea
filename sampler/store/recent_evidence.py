"""How often prompts were right of late: counts over the newest policies of a rollout log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sampler.store.prompt_store import table_of


class Evidence(NamedTuple):
    """Of one prompt: samples with a decision, and the right ones among them."""

    num: int
    num_right: int

    @property
    def pass_rate(self) -> float:
        return self.num_right / self.num


def recent_evidence(
    rollout_files: Sequence[Path], *, newer_than: int, min_score: float
) -> dict[str, Evidence]:
    """By prompt id, of rollouts of policies after version ``newer_than`` that were shown the pictures. A response is
    right from ``min_score`` on."""
    import duckdb

    if not rollout_files:
        return {}
    with duckdb.connect(config={"threads": 2}) as database:
        rows = database.execute(
            f"""
            SELECT prompt_id, count(*), count(*) FILTER (reward >= $min_score)
            FROM (SELECT prompt_id, policy_version, reward, blind FROM (
                SELECT NULL::BOOLEAN AS blind WHERE false UNION ALL BY NAME SELECT * FROM {table_of(rollout_files)}))
            WHERE reward IS NOT NULL AND policy_version > $newer_than AND NOT coalesce(blind, false)
            GROUP BY prompt_id
            """,
            {"min_score": min_score, "newer_than": newer_than},
        ).fetchall()
    return {prompt_id: Evidence(num, num_right) for prompt_id, num, num_right in rows}
