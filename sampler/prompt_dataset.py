"""Prompt sets in and out: local JSONL, JSON or Parquet files, or a hub id of `datasets`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from sampler.prompt import Prompt
from sampler.prompt_table import PROMPT_FIELDS, prompt_columns, write_parquet


def save_prompts(path: str | os.PathLike[str], prompts: Sequence[Prompt]) -> Path:
    """Write prompts as Parquet whose pictures are `datasets` `Image` features. Returns the path."""
    return write_parquet(path, prompt_columns(prompts), PROMPT_FIELDS)
