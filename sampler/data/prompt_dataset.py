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
from sampler.data.packed_rows import PackedRows
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

    `locations` says by prompt id where each stands (`prompts.jsonl, line 3`); `num_not_decoded` of the pictures and
    videos were looked at by their header only."""

    prompts: Sequence[Prompt]
    num_duplicates: int
    locations: Mapping[str, str] = field(default_factory=dict)
    unread_columns: tuple[UnreadColumn, ...] = ()
    num_not_decoded: int = 0

    @property
    def num_rows(self) -> int:
        return len(self.prompts) + self.num_duplicates


def load_prompts(path_or_hub_id: str | os.PathLike[str], **options: Any) -> list[Prompt]:
    """The prompts of `load_prompt_dataset`, which takes the same options."""
    return list(load_prompt_dataset(path_or_hub_id, **options).prompts)


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
    max_decoded: int | None = None,
) -> PromptDataset:
    """Read and check a prompt set; columns `messages`, `images`, `kind`, `verifier`, `reference` and, if there,
    `videos`, `verifier_options`, `tags`, `source`, `prompt_id`.

    `columns` maps these names to the set's own; `limit` stops after so many different prompts; the first `max_decoded`
    pictures and videos are decoded (None: all), of the others the header is read. Raises `BadRows` naming file, row and
    column of rows that are wrong: nothing is dropped but rows that repeat an earlier prompt, which are counted, with
    one line in the log.
    """
    reader = PromptReader(
        columns=columns,
        default_kind=default_kind,
        default_verifier=default_verifier,
        default_verifier_options=default_verifier_options,
        default_source=_source_name(path_or_hub_id),
        max_pixels=max_pixels,
        max_decoded=max_decoded,
    )
    if limit is not None and limit < 1:
        raise BadInput(f"limit is at least 1, got {limit}")
    prompts: PackedRows[Prompt] = PackedRows()
    indices: dict[str, int] = {}
    locations: dict[str, str] = {}
    num_duplicates = 0
    wrong, unread = WrongRows(), UnreadColumns(COLUMNS, columns)
    for row in wrong.reading(dataset_rows(path_or_hub_id, split)):
        unread.see(row)
        with wrong.collected(row.location):
            prompt = reader.read(row)
            prompt_id = prompt.prompt_id
            if prompt_id in indices:
                _require_same(prompt, row.location, prompts[indices[prompt_id]], locations[prompt_id])
                num_duplicates += 1
            else:
                indices[prompt_id], locations[prompt_id] = len(prompts), row.location
                prompts.append(prompt)
        if len(prompts) == limit:
            break
    wrong.raise_any()
    if not prompts:
        raise BadInput(f"{path_or_hub_id}: the set has no rows")
    if num_duplicates:
        dropped, num_rows = counted(num_duplicates, "duplicate"), len(prompts) + num_duplicates
        log.warning("%s: dropped %s of %s", path_or_hub_id, dropped, counted(num_rows, "row"))
    return PromptDataset(prompts, num_duplicates, locations, unread.found, reader.num_not_decoded)


def save_prompts(path: str | os.PathLike[str], prompts: Sequence[Prompt]) -> Path:
    """Write prompts as Parquet whose pictures are `datasets` `Image` features. Returns the path."""
    return write_parquet(path, prompt_columns(prompts), PROMPT_FIELDS)


def _require_same(prompt: Prompt, location: str, earlier: Prompt, earlier_location: str) -> None:
    """Raises `BadInput` where an earlier row had the same id and said something else."""
    if not _same_content(earlier, prompt):
        raise BadInput(
            f"{location}, column 'prompt_id': {prompt.prompt_id[:60]!r} is also the id of {earlier_location}, whose "
            "content differs"
        )


def _same_content(one: Prompt, other: Prompt) -> bool:
    def content(prompt: Prompt) -> str:
        return content_id(prompt.messages, prompt.images, prompt.videos, prompt.verifier, prompt.reference)

    return content(one) == content(other)


def _source_name(path_or_hub_id: str | os.PathLike[str]) -> str:
    """`prompts` for prompts.jsonl; a hub id stays as it is."""
    name = os.fspath(path_or_hub_id)
    return Path(name).stem if Path(name).exists() else name
