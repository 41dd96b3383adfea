"""Every judged rollout, kept as Parquet: one shard a step, readable by DuckDB and ``datasets`` alike."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rl.experience.judge import JudgedRollout
from sampler.atomic_file import written_whole
from verifiers.answer import FinalAnswer

SCHEMA = pa.schema(
    [
        ("rollout_id", pa.string()),
        ("stage", pa.string()),
        ("round", pa.int32()),
        ("step", pa.int32()),
        ("policy_version", pa.int64()),
        ("prompt_id", pa.string()),
        ("kind", pa.string()),
        ("tags", pa.list_(pa.string())),
        ("verifier", pa.string()),
        ("reference", pa.string()),
        ("index", pa.int32()),
        ("response", pa.string()),
        ("thought", pa.string()),
        ("answer", pa.string()),
        ("answer_status", pa.string()),
        ("finish_reason", pa.string()),
        ("num_prompt_tokens", pa.int32()),
        ("num_response_tokens", pa.int32()),
        ("reward", pa.float64()),  # the judge's score
        (
            "reward_learnt",
            pa.float64(),
        ),  # weights and penalties applied; none where nothing is learnt from it
        ("reward_parts", pa.string()),  # JSON: the weight, and each penalty by name
        ("verdict_status", pa.string()),
        ("verdict_score", pa.float64()),
        ("verdict_code", pa.string()),
        ("verdict_reason", pa.string()),
        ("verdict_extracted", pa.string()),
        ("verdict_tier", pa.string()),
        ("verdict_confident", pa.bool_()),
        ("verdict_parts", pa.string()),  # JSON
        ("judge_s", pa.float64()),
        ("score_status", pa.string()),
        ("score_probability", pa.float64()),
        ("score_reason", pa.string()),
        ("score_parts", pa.string()),  # JSON: of a pairwise model both orders
    ]
)


def write_rollouts(
    directory: Path, judged: Sequence[JudgedRollout], *, stage: str, round_index: int, step: int
) -> Path:
    """Write one step's shard; a reader never sees half of it."""
    rows = [_row(one) | {"stage": stage, "round": round_index, "step": step} for one in judged]
    path = directory / f"step-{step:05d}.parquet"
    with written_whole(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), temporary)
    return path


def read_answers(directory: Path) -> dict[tuple[str, int], FinalAnswer]:
    """The final answers of a stage's rollouts, by prompt id and index in the group."""
    answers = {}
    for shard in sorted(directory.glob("step-*.parquet")):
        table = pq.read_table(shard, columns=["prompt_id", "index", "answer", "answer_status"])
        for row in table.to_pylist():
            answers[row["prompt_id"], row["index"]] = FinalAnswer(row["answer"], row["answer_status"])
    return answers


def _row(one: JudgedRollout) -> dict[str, object]:
    rollout, verdict, score = one.rollout, one.reward.verdict, one.reward.score
    judged: dict[str, object] = {}
    if verdict is not None:
        judged = {
            "verdict_status": verdict.status,
            "verdict_score": verdict.score,
            "verdict_code": verdict.code,
            "verdict_reason": verdict.reason,
            "verdict_extracted": verdict.extracted,
            "verdict_tier": verdict.tier,
            "verdict_confident": verdict.confident,
            "verdict_parts": json.dumps(dict(verdict.parts)),
            "judge_s": verdict.seconds,
        }
    if score is not None:
        judged |= {
            "score_status": score.status,
            "score_probability": score.probability,
            "score_reason": score.reason,
            "score_parts": json.dumps(dict(score.parts)),
            "judge_s": score.seconds,
        }
    learnt = one.reward.learnt
    if learnt is not None:
        judged |= {
            "reward_learnt": learnt.value,
            "reward_parts": json.dumps({"weight": learnt.weight, **learnt.penalties}),
        }
    return {
        "rollout_id": rollout.rollout_id,
        "policy_version": rollout.policy_version,
        "prompt_id": rollout.prompt_id,
        "kind": one.prompt.kind,
        "tags": list(one.prompt.tags),
        "verifier": one.prompt.verifier,
        "reference": one.prompt.reference_text,
        "index": rollout.index,
        "response": rollout.text,
        "thought": one.thought,
        "answer": one.answer.text,
        "answer_status": one.answer.status,
        "finish_reason": rollout.finish_reason,
        "num_prompt_tokens": len(rollout.prompt_token_ids),
        "num_response_tokens": rollout.num_response_tokens,
        "reward": one.reward.value,
        **judged,
    }
