"""What rejection sampling kept of a round: the funnel from prompts to rows, and some rows with their lineage."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from recipes.report.attempt import Attempt
from recipes.report.rollout_table import RolloutTable
from recipes.report.shown_prompt import ShownPrompt
from rl.run.results.stage_result import HarvestResult
from rl.run.run_record import RunRecord
from sampler.store.sql_text import table_of
from verifiers.reading.response import split_response

ROWS_PER_TYPE = 2
MAX_ROWS = 8
FUNNEL = {
    "num_prompts_sampled": "prompts tried",
    "num_known": "known from RL",
    "num_hard": "hard ones",
    "num_rollouts": "rollouts",
    "num_correct": "correct",
    "num_kept": "kept",
}
# The same number of each question type, different prompts first, in the order of their ids: by rule.
ROWS_SQL = """
    SELECT * EXCLUDE (rank_in_prompt), row_number() OVER (
        PARTITION BY tags[1] ORDER BY rank_in_prompt, prompt_id) AS rank_in_type
    FROM (SELECT *, row_number() OVER (PARTITION BY prompt_id ORDER BY rollout_id) AS rank_in_prompt FROM {table})
    QUALIFY rank_in_type <= {per_type} ORDER BY tags[1], rank_in_type LIMIT {most}
"""

Counts = tuple[tuple[str, int], ...]


class HarvestRow(NamedTuple):
    """One row that the next round learns from."""

    prompt: ShownPrompt
    attempt: Attempt


@dataclass(frozen=True)
class Harvest:
    """One harvest."""

    title: str
    funnel: Counts
    dropped: Counts
    by_type: Counts
    spot_check: str
    spot_check_page: str  # its address from the report; empty where there is none
    rows: tuple[HarvestRow, ...]


def harvests(
    run: RunRecord, log: RolloutTable, pages: Mapping[str, str] = MappingProxyType({})
) -> list[Harvest]:
    """The harvests that are complete, in order; ``pages`` are the addresses of spot checks by stage."""
    return [
        _harvest(log, result, run.path, pages.get(result.stage, "")) for result in run.results(HarvestResult)
    ]


def _harvest(log: RolloutTable, result: HarvestResult, run_path: Path, page: str) -> Harvest:
    rows: list[dict[str, Any]] = []
    if result.rows is not None and result.rows.is_file():
        rows = log.query_files(
            ROWS_SQL.format(table=table_of([result.rows]), per_type=ROWS_PER_TYPE, most=MAX_ROWS)
        )
    known = [
        name
        for name in FUNNEL
        if name in result.model_fields_set and (name != "num_known" or result.num_known)
    ]
    return Harvest(
        title=f"round {result.round_index} · harvest",
        funnel=tuple((FUNNEL[name], getattr(result, name)) for name in known),
        dropped=_counts(result.dropped),
        by_type=_counts(result.by_tag),
        spot_check="" if result.spot_check is None else str(result.spot_check.relative_to(run_path)),
        spot_check_page=page,
        rows=tuple(HarvestRow(ShownPrompt.of(row), _kept_attempt(row, result.stage)) for row in rows),
    )


def _counts(counts: Mapping[str, int]) -> Counts:
    return tuple((name.replace("_", " "), count) for name, count in counts.items() if count)


def _kept_attempt(row: dict[str, Any], stage: str) -> Attempt:
    """An SFT row keeps the whole response and its verdict as JSON; it is shown as the rollout it came from."""
    thought, answer = split_response(row["response"], expects_thought=False)
    try:
        verdict = json.loads(row.get("verdict") or "{}")
    except ValueError:
        verdict = {}
    return Attempt.from_row(
        {
            "rollout_id": row.get("rollout_id") or "",
            "stage": stage,
            "policy_version": row.get("policy_version"),
            "thought": thought,
            "answer": answer.text,
            "word": "right" if row.get("verifier") else "won",  # else it would not have been kept
            "compared": not row.get("verifier"),
            "reward": verdict.get("score", verdict.get("probability")),
            "verifier": row.get("verifier"),
            **{f"verdict_{name}": verdict.get(name) for name in ("score", "reason")},
        }
    )
