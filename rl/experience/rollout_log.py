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


def _leaves(name: str, dtype: pa.DataType) -> list[str]:
    """Parquet's names of what a column is made of."""
    if pa.types.is_list(dtype):
        return _leaves(f"{name}.list.element", dtype.value_type)
    if pa.types.is_struct(dtype):
        return [leaf for field in dtype for leaf in _leaves(f"{name}.{field.name}", field.type)]
    return [name]


# Of figures of single tokens no two are alike, and a dictionary takes up to four times as long to write and a third
# more room.
_WITH_DICTIONARY = [
    leaf
    for field in SCHEMA
    if field.type != pa.list_(pa.float32())
    for leaf in _leaves(field.name, field.type)
]


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
    columns: dict[str, Sequence[object]] = {
        **_of_prompts([one.prompt for one in judged]),
        **_of_rollouts(judged),
        **{name: [value] * len(judged) for name, value in of_step.items()},
        **({} if tokens is None else _of_tokens(judged, tokens)),
    }
    nothing = [None] * len(judged)
    table = pa.table({name: columns.get(name, nothing) for name in SCHEMA.names}, schema=SCHEMA)
    path = shard_path(directory, step)
    with written_whole(path) as temporary:
        pq.write_table(table, temporary, use_dictionary=_WITH_DICTIONARY)
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


def _of_prompts(prompts: Sequence[Prompt]) -> dict[str, Sequence[object]]:
    """A column at a time; what is said of a prompt is worked out once for its whole group."""
    groups = {id(prompt): prompt for prompt in prompts}
    places = dict(zip(groups, range(len(groups)), strict=True))
    of_groups = {
        column: [getattr(prompt, name) for prompt in groups.values()] for column, name in OF_PROMPT.items()
    }
    of_groups["pictures"] = [
        [shown.content_hash for shown in prompt.vision_inputs] for prompt in groups.values()
    ]
    group_of = [places[id(prompt)] for prompt in prompts]
    return {column: [values[group] for group in group_of] for column, values in of_groups.items()}


def _of_rollouts(judged: Sequence[JudgedRollout]) -> dict[str, Sequence[object]]:
    known: dict[str, Sequence[Any]] = {"": judged}
    columns = {column: _values_at(path, known) for column, path in OF_ROLLOUT.items()}
    for column in (name for name in columns if name.endswith("_parts")):
        columns[column] = [None if parts is None else json.dumps(dict(parts)) for parts in columns[column]]
    columns["num_prompt_tokens"] = [len(one.rollout.prompt_token_ids) for one in judged]
    columns["policy_versions"] = [one.rollout.policy_versions for one in judged]
    return columns


def _values_at(path: str, known: dict[str, Sequence[Any]]) -> Sequence[Any]:
    """What lies at this path of names in each rollout, None where something on the way is; it becomes ``known``."""
    if path not in known:
        parent, _, name = path.rpartition(".")
        known[path] = [None if held is None else getattr(held, name) for held in _values_at(parent, known)]
    return known[path]


def _of_tokens(
    judged: Sequence[JudgedRollout], tokens: Mapping[str, TokenFigures]
) -> dict[str, Sequence[object]]:
    figures = [tokens.get(one.rollout.rollout_id, TokenFigures()) for one in judged]
    return {
        "response_token_ids": [one.rollout.response_token_ids for one in judged],
        "sample_logprobs": [one.rollout.sample_logprobs for one in judged],
        "trainer_logprobs": [one.trainer_logprobs for one in figures],
        "entropies": [one.entropies for one in figures],
        "advantages": [one.advantages for one in figures],
    }
