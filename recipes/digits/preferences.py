"""Preference lists for the digits task: right over wrong over unformatted answers, made without a policy."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from pathlib import Path

from recipes.digits.builder import DigitsOptions, distinct_prompts
from recipes.digits.picture import digit_banks
from recipes.digits.question import QUESTION_TYPES
from reward_models.preferences.preference import save_preferences
from reward_models.preferences.synthetic_preferences import synthetic_preferences


def build_preferences(
    out_dir: str | os.PathLike[str],
    *,
    seed: int = 0,
    num_train_prompts: int = 8000,
    num_heldout_prompts: int = 400,
    question_types: Sequence[str] = QUESTION_TYPES,
    min_digits: int = 2,
    max_digits: int = 3,
    heldout_frac: float = 0.2,
    split_seed: int = 0,
) -> dict[str, Path]:
    """Write `train.parquet` and `heldout.parquet`; returns their paths. Held-out handwriting is never trained on."""
    options = DigitsOptions(question_types=question_types, min_digits=min_digits, max_digits=max_digits)
    written = {}
    banks = zip(("train", "heldout"), digit_banks(heldout_frac, split_seed), strict=True)
    for (name, bank), num in zip(banks, (num_train_prompts, num_heldout_prompts), strict=True):
        prompts = distinct_prompts(bank, options, num, random.Random(f"preferences {name} {seed}"))
        lists = synthetic_preferences(prompts, seed=seed)
        written[name] = save_preferences(Path(out_dir) / f"{name}.parquet", lists)
    return written
