"""Every judged rollout, kept as Parquet: one shard a step, readable by DuckDB and ``datasets`` alike."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rl.experience.judge import JudgedRollout
from sampler.atomic_file import written_whole
from verifiers.answer import FinalAnswer

# Every column with its type, and where a judged rollout holds it; the rest the writer knows. Mappings become JSON.
COLUMNS: dict[str, tuple[pa.DataType, str]] = {
    "rollout_id": (pa.string(), "rollout.rollout_id"),
    "stage": (pa.string(), ""),
    "round": (pa.int32(), ""),
    "step": (pa.int32(), ""),
    "policy_version": (pa.int64(), "rollout.policy_version"),
    "prompt_id": (pa.string(), "rollout.prompt_id"),
    "kind": (pa.string(), "prompt.kind"),
    "tags": (pa.list_(pa.string()), "prompt.tags"),
    "verifier": (pa.string(), "prompt.verifier"),
    "reference": (pa.string(), "prompt.reference_text"),
    "revision": (pa.string(), "prompt.revision"),  # none in logs before 2026-11-29
    "blind": (pa.bool_(), ""),  # sampled without the prompt's pictures and films
    "index": (pa.int32(), "rollout.index"),
    "response": (pa.string(), "rollout.text"),
    "thought": (pa.string(), "thought"),
    "answer": (pa.string(), "answer.text"),
    "answer_status": (pa.string(), "answer.status"),
    "finish_reason": (pa.string(), "rollout.finish_reason"),
    "num_prompt_tokens": (pa.int32(), ""),
    "num_response_tokens": (pa.int32(), "rollout.num_response_tokens"),
    "reward": (pa.float64(), "reward.value"),  # the judge's score
    "reward_learnt": (pa.float64(), "reward.learnt.value"),  # none where nothing is learnt from it
    "reward_parts": (pa.string(), "reward.learnt.parts"),
    "verdict_status": (pa.string(), "reward.verdict.status"),
    "verdict_score": (pa.float64(), "reward.verdict.score"),
    "verdict_code": (pa.string(), "reward.verdict.code"),
    "verdict_reason": (pa.string(), "reward.verdict.reason"),
    "verdict_extracted": (pa.string(), "reward.verdict.extracted"),
    "verdict_tier": (pa.string(), "reward.verdict.tier"),
    "verdict_confident": (pa.bool_(), "reward.verdict.confident"),
    "verdict_parts": (pa.string(), "reward.verdict.parts"),
    "judge_s": (pa.float64(), "reward.judged.seconds"),
    "score_status": (pa.string(), "reward.score.status"),
    "score_probability": (pa.float64(), "reward.score.probability"),
    "score_reason": (pa.string(), "reward.score.reason"),
    "score_parts": (pa.string(), "reward.score.parts"),  # of a pairwise model both orders
}
SCHEMA = pa.schema([(name, dtype) for name, (dtype, _) in COLUMNS.items()])


def write_rollouts(
    directory: Path,
    judged: Sequence[JudgedRollout],
    *,
    stage: str,
    round_index: int,
    step: int,
    blind: bool = False,
) -> Path:
    """Write one step's shard; a reader never sees half of it."""
    of_step = {"stage": stage, "round": round_index, "step": step, "blind": blind}
    rows = [
        {**_row(one), **of_step, "num_prompt_tokens": len(one.rollout.prompt_token_ids)} for one in judged
    ]
    path = shard_path(directory, step)
    with written_whole(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), temporary)
    return path


def shard_path(directory: Path, step: int) -> Path:
    """Of one step's shard."""
    return directory / f"step-{step:05d}.parquet"


def read_answers(directory: Path) -> dict[tuple[str, int], FinalAnswer]:
    """The final answers of a stage's rollouts, by prompt id and index in the group."""
    answers = {}
    for shard in sorted(directory.glob("step-*.parquet")):
        table = pq.read_table(shard, columns=["prompt_id", "index", "answer", "answer_status"])
        for row in table.to_pylist():
            answers[row["prompt_id"], row["index"]] = FinalAnswer(row["answer"], row["answer_status"])
    return answers


def _row(one: JudgedRollout) -> dict[str, object]:
    values = {name: _value(one, path) for name, (_, path) in COLUMNS.items() if path}
    return {
        name: json.dumps(dict(value)) if isinstance(value, Mapping) else value
        for name, value in values.items()
    }


def _value(held: Any, path: str) -> Any:
    """None where something on the way to it is."""
    for name in path.split("."):
        held = None if held is None else getattr(held, name)
    return held
