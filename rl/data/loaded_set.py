"""One set of a run's data as it was read: rows, where they stand, and columns that nothing reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reward_models.preference import load_preferences
from sampler.data.prompt_dataset import load_prompt_dataset
from sampler.data.sft_row import load_sft_dataset
from sampler.data.unread_column import UnreadColumn

# By name what a set's rows are called; a run has the first two, and the others where its recipe asks for them.
NOUNS = {
    "train": "train prompt",
    "heldout": "held-out prompt",
    "cold_start": "cold-start row",
    "preferences_train": "preference list",
    "preferences_heldout": "held-out preference list",
}


@dataclass(frozen=True)
class LoadedSet:
    """``places`` names file and line of a prompt by its id; only prompt sets have them."""

    rows: Sequence[Any]
    places: Mapping[str, str] = field(default_factory=dict)
    unread_columns: Sequence[UnreadColumn] = ()


def read_set(name: str, path: str, *, decode_images: bool = True) -> LoadedSet:
    """The set of that name (a key of ``NOUNS``). Raises: BadInput naming file, row and column."""
    if name in ("train", "heldout"):
        prompts = load_prompt_dataset(path, decode_images=decode_images)
        return LoadedSet(prompts.prompts, prompts.places, prompts.unread_columns)
    if name == "cold_start":
        rows = load_sft_dataset(path, decode_images=decode_images)
        return LoadedSet(rows.rows, {}, rows.unread_columns)
    return LoadedSet(load_preferences(path, decode_images=decode_images))
