"""Prompt sets in and out: local JSONL, JSON or Parquet files, or a hub id of `datasets`."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sampler.data.dataset_rows import dataset_rows
from sampler.data.image import MAX_PIXELS
from sampler.data.prompt_reader import COLUMNS, PromptReader
from sampler.data.prompt_schema import PROMPT_FIELDS, prompt_columns, write_parquet
from sampler.data.unread_column import UnreadColumn, UnreadColumns
from sampler.data.wrong_rows import WrongRows
from sampler.prompt import Prompt, PromptKind, content_id
from verifiers.counted import counted
from verifiers.errors import BadInput

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PromptDataset:
    """The different prompts of a set, in order, and how many rows said what an earlier row had said.

    ``places`` says by prompt id where each stands (`prompts.jsonl, line 3`)."""

    prompts: tuple[Prompt, ...]
    num_duplicates: int
    locations: Mapping[str, str] = field(default_factory=dict)
    unread_columns: tuple[UnreadColumn, ...] = ()

    @property
    def num_rows(self) -> int:
        return len(self.prompts) + self.num_duplicates


def load_prompts(
    path_or_hub_id: str | os.PathLike[str],
    *,
    split: str | None = None,
    limit: int | None = None,
    columns: Mapping[str, str] | None = None,
    default_kind: PromptKind = "verifiable",
    default_verifier: str | None = None,
    default_verifier_options: Mapping[str, Any] | None = None,
    max_pixels: int = MAX_PIXELS,
    decode_images: bool = True,
) -> list[Prompt]:
    """The prompts of `load_prompt_dataset`."""
    loaded = load_prompt_dataset(
        path_or_hub_id,
        split=split,
        limit=limit,
        columns=columns,
        default_kind=default_kind,
        default_verifier=default_verifier,
        default_verifier_options=default_verifier_options,
        max_pixels=max_pixels,
        decode_images=decode_images,
    )
    return list(loaded.prompts)


def load_prompt_dataset(
    path_or_hub_id: str | os.PathLike[str],
    *,
    split: str | None = None,
    limit: int | None = None,
    columns: Mapping[str, str] | None = None,
    default_kind: PromptKind = "verifiable",
    default_verifier: str | None = None,
    default_verifier_options: Mapping[str, Any] | None = None,
    max_pixels: int = MAX_PIXELS,
    decode_images: bool = True,
) -> PromptDataset:
    """Read and check a prompt set; columns `messages`, `images`, `kind`, `verifier`, `reference` and, if there,
    `videos`, `verifier_options`, `tags`, `source`, `prompt_id`.

    `columns` maps these names to the set's own; `limit` stops after so many different prompts;
    `decode_images=False` reads picture headers only. Raises `BadRows` naming file, row and column of rows that are
    wrong: nothing is dropped but rows that repeat an earlier prompt, which are counted, with one line in the log.
    """
    reader = PromptReader(
        columns=columns,
        default_kind=default_kind,
        default_verifier=default_verifier,
        default_verifier_options=default_verifier_options,
        default_source=_source_name(path_or_hub_id),
        max_pixels=max_pixels,
        decode_images=decode_images,
    )
    if limit is not None and limit < 1:
        raise BadInput(f"limit is at least 1, got {limit}")
    prompts: dict[str, Prompt] = {}
    locations: dict[str, str] = {}
    num_duplicates = 0
    wrong, unread = WrongRows(), UnreadColumns(COLUMNS, columns)
    for row in wrong.reading(dataset_rows(path_or_hub_id, split)):
        unread.see(row)
        with wrong.collected(row.location):
            prompt = reader.read(row)
            if _repeats(prompt, row.location, prompts, locations):
                num_duplicates += 1
            else:
                prompts[prompt.prompt_id], locations[prompt.prompt_id] = prompt, row.location
        if len(prompts) == limit:
            break
    wrong.raise_any()
    if not prompts:
        raise BadInput(f"{path_or_hub_id}: the set has no rows")
    if num_duplicates:
        dropped, num_rows = counted(num_duplicates, "duplicate"), len(prompts) + num_duplicates
        log.warning("%s: dropped %s of %s", path_or_hub_id, dropped, counted(num_rows, "row"))
    return PromptDataset(tuple(prompts.values()), num_duplicates, locations, unread.found)


def save_prompts(path: str | os.PathLike[str], prompts: Sequence[Prompt]) -> Path:
    """Write prompts as Parquet whose pictures are `datasets` `Image` features. Returns the path."""
    return write_parquet(path, prompt_columns(prompts), PROMPT_FIELDS)


def _repeats(
    prompt: Prompt, location: str, prompts: Mapping[str, Prompt], locations: Mapping[str, str]
) -> bool:
    """Whether an earlier row said the same. Raises `BadInput` where it had the same id and said something else."""
    earlier = prompts.get(prompt.prompt_id)
    if earlier is not None and not _same_content(earlier, prompt):
        raise BadInput(
            f"{location}, column 'prompt_id': {prompt.prompt_id[:60]!r} is also the id of "
            f"{locations[prompt.prompt_id]}, whose content differs"
        )
    return earlier is not None


def _same_content(one: Prompt, other: Prompt) -> bool:
    def content(prompt: Prompt) -> str:
        return content_id(prompt.messages, prompt.images, prompt.videos, prompt.verifier, prompt.reference)

    return content(one) == content(other)


def _source_name(path_or_hub_id: str | os.PathLike[str]) -> str:
    """`prompts` for prompts.jsonl; a hub id stays as it is."""
    name = os.fspath(path_or_hub_id)
    return Path(name).stem if Path(name).exists() else name
