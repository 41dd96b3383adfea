"""Preference lists from any prompt set that rules verify: right over wrong over unformatted, made without a policy."""

from __future__ import annotations

import os
from pathlib import Path

from reward_models.preferences.preference import save_preferences
from reward_models.preferences.synthetic_preferences import synthetic_preferences
from sampler.data.prompt_dataset import load_prompts
from verifiers.errors import BadInput


def build_preferences(
    out_dir: str | os.PathLike[str],
    *,
    seed: int = 0,
    train_prompts: str,
    heldout_prompts: str,
) -> dict[str, Path]:
    """Write `train.parquet` and `heldout.parquet`, a list for each prompt whose verifier has a near miss; returns their
    paths. Raises `BadInput` for a set that gives no list."""
    written = {}
    for name, location in (("train", train_prompts), ("heldout", heldout_prompts)):
        lists = synthetic_preferences(load_prompts(location), seed=seed)
        if not lists:
            raise BadInput(f"{location}: no prompt has a verifier that can tell a near miss of its reference")
        written[name] = save_preferences(Path(out_dir) / f"{name}.parquet", lists)
    return written
