"""The rollout log's columns and their version, and logs of any version read as those of today."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from verifiers.errors import BadInput

VERSION = (
    2  # 1: logs before 2026-11-29, of which none says its version; every version has added columns, none gone
)
VERSION_KEY = b"hone.rollout_log"

_TEXTS = pa.list_(pa.string())
_FIGURES = pa.list_(pa.float32())
_RUNS = pa.list_(pa.struct([("version", pa.int64()), ("num_tokens", pa.int32())]))

SCHEMA = pa.schema(
    [
        ("rollout_id", pa.string()),
        ("stage", pa.string()),
        ("round", pa.int32()),
        ("step", pa.int32()),
        ("run_seed", pa.int64()),
        ("policy_version", pa.int64()),  # the newest that drew a token
        ("policy_versions", _RUNS),  # which drew how many, in order
        ("prompt_id", pa.string()),
        ("kind", pa.string()),
        ("tags", _TEXTS),
        ("pictures", _TEXTS),  # hashes of pictures and films as they are shown
        ("verifier", pa.string()),
        ("reference", pa.string()),
        ("revision", pa.string()),  # of the prompt, by which its judge went
        ("blind", pa.bool_()),  # sampled without the picture
        ("index", pa.int32()),
        ("response", pa.string()),
        ("thought", pa.string()),
        ("answer", pa.string()),
        ("answer_status", pa.string()),
        ("finish_reason", pa.string()),
        ("num_prompt_tokens", pa.int32()),
        ("num_response_tokens", pa.int32()),
        ("sampled_s", pa.float64()),  # since the step began to sample
        ("reward", pa.float64()),  # the judge's score
        ("reward_learnt", pa.float64()),  # none where nothing is learnt from it
        ("reward_parts", pa.string()),  # this and the other parts: JSON
        ("verdict_status", pa.string()),
        ("verdict_score", pa.float64()),
        ("verdict_code", pa.string()),
        ("verdict_reason", pa.string()),
        ("verdict_extracted", pa.string()),
        ("verdict_tier", pa.string()),
        ("verdict_confident", pa.bool_()),
        ("verdict_parts", pa.string()),
        ("judge_s", pa.float64()),
        ("score_status", pa.string()),
        ("score_probability", pa.float64()),
        ("score_reason", pa.string()),
        ("score_parts", pa.string()),  # of a pairwise model both orders
        ("response_token_ids", pa.list_(pa.int32())),  # this and the next: [T], where the recipe keeps tokens
        ("sample_logprobs", _FIGURES),
        ("trainer_logprobs", _FIGURES),  # this and the next: of what is learnt from, before the update
        ("entropies", _FIGURES),
        ("advantages", _FIGURES),
    ],
    metadata={VERSION_KEY: str(VERSION)},
)


def _sql_type(dtype: pa.DataType) -> str:
    if pa.types.is_list(dtype):
        return f"{_sql_type(dtype.value_type)}[]"
    if pa.types.is_struct(dtype):
        return f"STRUCT({', '.join(f'{field.name} {_sql_type(field.type)}' for field in dtype)})"
    names = {
        "string": "VARCHAR",
        "int32": "INTEGER",
        "int64": "BIGINT",
        "float": "FLOAT",
        "double": "DOUBLE",
        "bool": "BOOLEAN",
    }
    return names[str(dtype)]


_NONE = ", ".join(f'NULL::{_sql_type(field.type)} AS "{field.name}"' for field in SCHEMA)


def migrated(table: str) -> str:
    """SQL that selects every column of today from a ``table`` of shards of any version, and what else they hold.

    A column that a shard lacks is none; before version 2 one policy drew all tokens of a response."""
    return f"""
        SELECT * REPLACE (
            coalesce(policy_versions, CASE WHEN policy_version IS NOT NULL THEN
                [{{'version': policy_version, 'num_tokens': num_response_tokens}}] END) AS policy_versions
        ) FROM (SELECT {_NONE} WHERE false UNION ALL BY NAME SELECT * FROM {table})
    """


def require_readable(shards: Sequence[Path]) -> None:
    """Raises: BadInput for a shard that a newer Hone wrote."""
    for shard in shards:
        said = (pq.read_metadata(shard).metadata or {}).get(VERSION_KEY)
        if said is not None and int(said) > VERSION:
            raise BadInput(
                f"{shard} is a rollout log of version {int(said)}, and this Hone reads up to {VERSION}: use a newer one"
            )
