"""One supervised example: a prompt, the response to learn, and where that response came from."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from sampler.prompt import Prompt
from sampler.prompt_table import PROMPT_FIELDS, prompt_columns, write_parquet

SFT_FIELDS: tuple[tuple[str, pa.DataType], ...] = (
    *PROMPT_FIELDS,
    ("response", pa.string()),
    ("sft_source", pa.string()),  # `source` is the prompt's
    ("rollout_id", pa.string()),
    ("policy_version", pa.int64()),
    ("round", pa.int64()),
    ("verdict", pa.string()),  # JSON
)


@dataclass(frozen=True)
class SftRow:
    """`response` is what the policy is to say, thought and solution: `<think>3+5+1</think>\\boxed{9}`.

    A row harvested by rejection sampling carries its lineage: the rollout it was, the policy version that
    sampled it, the round, and the verdict (as a plain dict) that let it in. A cold-start row has none of these.
    """

    prompt: Prompt
    response: str
    source: str = "cold_start"
    rollout_id: str | None = None
    policy_version: int | None = None
    round: int | None = None
    verdict: dict[str, Any] | None = None


def save_sft_rows(path: str | os.PathLike[str], rows: Sequence[SftRow]) -> Path:
    """Write rows as Parquet: the prompt's columns, the response, and the lineage. Returns the path."""
    columns = prompt_columns([row.prompt for row in rows])
    columns |= {
        "response": [row.response for row in rows],
        "sft_source": [row.source for row in rows],
        "rollout_id": [row.rollout_id for row in rows],
        "policy_version": [row.policy_version for row in rows],
        "round": [row.round for row in rows],
        "verdict": [None if row.verdict is None else json.dumps(row.verdict, sort_keys=True) for row in rows],
    }
    return write_parquet(path, columns, SFT_FIELDS)
