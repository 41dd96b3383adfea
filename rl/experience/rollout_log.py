"""Every judged rollout, kept as Parquet: one shard a step, readable by DuckDB and ``datasets`` alike."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rl.data.token_sequence import Floats
from rl.experience.judge import JudgedRollout
from sampler.atomic_file import written_whole
from sampler.prompt import Prompt
from sampler.store.log_schema import SCHEMA
from verifiers.answer import FinalAnswer

# Where a column comes from; the rest the writer knows. Mappings become JSON.
OF_PROMPT = {
    "prompt_id": "prompt_id",
    "kind": "kind",
    "tags": "tags",
    "verifier": "verifier",
    "reference": "reference_text",
    "revision": "revision",
}
OF_ROLLOUT = {
    "rollout_id": "rollout.rollout_id",
    "policy_version": "rollout.policy_version",
    "index": "rollout.index",
    "response": "rollout.text",
    "thought": "thought",
    "answer": "answer.text",
    "answer_status": "answer.status",
    "finish_reason": "rollout.finish_reason",
    "num_response_tokens": "rollout.num_response_tokens",
    "sampled_s": "sampled_s",
    "reward": "reward.value",
    "reward_learnt": "reward.learnt.value",
    "reward_parts": "reward.learnt.parts",
    "verdict_status": "reward.verdict.status",
    "verdict_score": "reward.verdict.score",
    "verdict_code": "reward.verdict.code",
    "verdict_reason": "reward.verdict.reason",
    "verdict_extracted": "reward.verdict.extracted",
    "verdict_tier": "reward.verdict.tier",
    "verdict_confident": "reward.verdict.confident",
    "verdict_parts": "reward.verdict.parts",
    "judge_s": "reward.judged.seconds",
    "score_status": "reward.score.status",
    "score_probability": "reward.score.probability",
    "score_reason": "reward.score.reason",
    "score_parts": "reward.score.parts",
}
_PATHS = [(column, path.split(".")) for column, path in OF_ROLLOUT.items()]


@dataclass(frozen=True, eq=False)
class TokenFigures:
    """What the trainer made of a response's tokens before the update, each [T]; none where it was not asked."""

    trainer_logprobs: Floats | None = None
    entropies: Floats | None = None
    advantages: Floats | None = None


def write_rollouts(
    directory: Path,
    judged: Sequence[JudgedRollout],
    *,
    stage: str,
    round_index: int,
    step: int,
    blind: bool = False,
    run_seed: int | None = None,
    tokens: Mapping[str, TokenFigures] | None = None,
) -> Path:
    """Write one step's shard; a reader never sees half of it. ``blind``: sampled without pictures and films.
    ``tokens`` are by rollout id; without them nothing is kept of single tokens."""
    of_step = {"stage": stage, "round": round_index, "step": step, "blind": blind, "run_seed": run_seed}
    prompts = {id(one.prompt): one.prompt for one in judged}
    of_prompts = {key: _of_prompt(prompt) for key, prompt in prompts.items()}
    rows = [
        {
            **of_prompts[id(one.prompt)],
            **_of_rollout(one),
            **of_step,
            **({} if tokens is None else _tokens(one, tokens)),
        }
        for one in judged
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


def _of_prompt(prompt: Prompt) -> dict[str, object]:
    row: dict[str, object] = {column: getattr(prompt, name) for column, name in OF_PROMPT.items()}
    return row | {"pictures": [shown.content_hash for shown in prompt.vision_inputs]}


def _of_rollout(one: JudgedRollout) -> dict[str, object]:
    row: dict[str, object] = {}
    for column, path in _PATHS:
        held: Any = one
        for name in path:  # none where something on the way is
            held = None if held is None else getattr(held, name)
        row[column] = json.dumps(dict(held)) if isinstance(held, Mapping) else held
    row["num_prompt_tokens"] = len(one.rollout.prompt_token_ids)
    row["policy_versions"] = [
        {"version": version, "num_tokens": num} for version, num in one.rollout.policy_versions
    ]
    return row


def _tokens(one: JudgedRollout, tokens: Mapping[str, TokenFigures]) -> dict[str, object]:
    figures = tokens.get(one.rollout.rollout_id, TokenFigures())
    return {
        "response_token_ids": one.rollout.response_token_ids,
        "sample_logprobs": one.rollout.sample_logprobs,
        "trainer_logprobs": figures.trainer_logprobs,
        "entropies": figures.entropies,
        "advantages": figures.advantages,
    }
