"""Prompt sets in and out: local JSONL, JSON or Parquet files, or a hub id of `datasets`."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from sampler.data.packed_rows import PackedRows, in_processes, packed, unpacked
from sampler.data.prompt_reader import PromptReader
from sampler.data.prompt_schema import PROMPT_FIELDS, prompt_columns, write_parquet
from sampler.data.row_columns import COLUMNS
from sampler.data.set_reading import DescribedSet, SetReading
from sampler.image import ANY_MODEL, ImageLimits
from sampler.prompt import Prompt, PromptKind, content_id
from sampler.rows.chosen_rows import chosen_rows
from sampler.rows.dataset_rows import dataset_parts
from sampler.rows.row import DatasetRow
from sampler.rows.unread_column import UnreadColumn, UnreadColumns
from sampler.rows.wrong_rows import RowRemarks, WrongRows
from verifiers.counted import counted
from verifiers.errors import BadInput
from verifiers.verifier import shown

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PromptDataset:
    """The different prompts of a set, in order, and how many rows said what an earlier row had said.

    `locations` says by prompt id where each stands (`prompts.jsonl, line 3`); `num_not_decoded` of the pictures and
    videos were looked at by their header only; `remarks` are what is odd about rows, in a line each."""

    prompts: PackedRows[Prompt]
    num_duplicates: int
    locations: Mapping[str, str] = field(default_factory=dict)
    unread_columns: tuple[UnreadColumn, ...] = ()
    num_not_decoded: int = 0
    remarks: tuple[str, ...] = ()

    @property
    def num_rows(self) -> int:
        return len(self.prompts) + self.num_duplicates


def load_prompts(path_or_hub_id: str | os.PathLike[str], **options: Any) -> list[Prompt]:
    """The prompts of `load_prompt_dataset`, which takes the same options."""
    return list(load_prompt_dataset(path_or_hub_id, **options).prompts)


def prompts_by_id(path_or_hub_id: str | os.PathLike[str], prompt_ids: Collection[str]) -> dict[str, Prompt]:
    """Those of the set with these ids, pictures looked at by their header; of rows with one id the first. Of a Parquet
    file with a column of ids only their rows are made and checked, and any other set whole. Raises: BadInput for a row
    that is wrong."""
    wanted, path = frozenset(prompt_ids), Path(path_or_hub_id)
    if path.suffix == ".parquet" and path.is_file():
        reader = PromptReader(default_source=_source_name(path), max_decoded=0)
        found: dict[str, Prompt] = {}
        for row in chosen_rows(path, "prompt_id", wanted):
            prompt = reader.read(row)
            found.setdefault(prompt.prompt_id, prompt)
        if found.keys() == wanted:
            return found
    every = load_prompts(path_or_hub_id, max_decoded=0)
    return {prompt.prompt_id: prompt for prompt in every if prompt.prompt_id in wanted}


def load_prompt_dataset(
    path_or_hub_id: str | os.PathLike[str],
    *,
    split: str | None = None,
    limit: int | None = None,
    columns: Mapping[str, str] | None = None,
    default_kind: PromptKind = "verifiable",
    default_verifier: str | None = None,
    default_verifier_options: Mapping[str, Any] | None = None,
    limits: ImageLimits = ANY_MODEL,
    max_decoded: int | None = None,
) -> PromptDataset:
    """Read and check a prompt set; columns `messages`, `images`, `kind`, `verifier`, `reference` and, if there,
    `videos`, `verifier_options`, `tags`, `source`, `prompt_id`.

    `columns` maps these names to the set's own; a `*.set.json` describes a set and how it is read (`DescribedSet`);
    `limit` stops after so many different prompts; the first `max_decoded` pictures and videos are decoded (None: all),
    of the others the header is read. Raises `BadRows` naming file, row and
    column of rows that are wrong: nothing is dropped but rows that repeat an earlier prompt, which are counted, with
    one line in the log. Rows that ask the same with different references are among the remarks.
    """
    if limit is not None and limit < 1:
        raise BadInput(f"limit is at least 1, got {limit}")
    given = SetReading(split, columns or {}, default_verifier, default_verifier_options or {})
    path_or_hub_id, reading = DescribedSet.of(path_or_hub_id, given)
    parts = dataset_parts(path_or_hub_id, reading.split)
    options = {
        "columns": reading.columns,
        "default_kind": default_kind,
        "default_verifier": reading.default_verifier,
        "default_verifier_options": reading.default_verifier_options,
        "default_source": _source_name(path_or_hub_id),
        "limits": limits,
        "max_decoded": max_decoded if max_decoded is None else -(-max_decoded // max(1, len(parts))),
    }
    read = partial(_ReadPart, options, limit)
    found, wrong, unread = _Found(), WrongRows(), UnreadColumns(COLUMNS, reading.columns)
    num_not_decoded = 0
    for part in in_processes(read, parts) if limit is None else map(read, parts):
        unread.add(part.unread_columns)
        num_not_decoded += part.num_not_decoded
        found.remarks.merge(part.remarks)
        for location, row in wrong.reading(part.rows()):
            if len(found.prompts) == limit:
                break
            with wrong.collected(location):
                found.add(location, row)
        if len(found.prompts) == limit:
            break
    wrong.raise_any()
    num_prompts, num_duplicates = len(found.prompts), found.num_duplicates
    if not num_prompts:
        raise BadInput(f"{path_or_hub_id}: the set has no rows")
    if num_duplicates:
        dropped, num_rows = counted(num_duplicates, "duplicate"), num_prompts + num_duplicates
        log.warning("%s: dropped %s of %s", path_or_hub_id, dropped, counted(num_rows, "row"))
    return PromptDataset(
        found.prompts, num_duplicates, found.locations, unread.found, num_not_decoded, found.remarks.named()
    )


class _Found:
    """What the rows of all parts come to: each different prompt once, where it stands, and what is odd."""

    def __init__(self) -> None:
        self.prompts: PackedRows[Prompt] = PackedRows()
        self.locations: dict[str, str] = {}
        self.remarks = RowRemarks()
        self.num_duplicates = 0
        self._indices: dict[str, int] = {}
        self._asked: dict[int, int] = {}  # by question the first prompt that asks it

    def add(self, location: str, row: _ReadRow | BadInput) -> None:
        """Raises: BadInput for a row that could not be read, and for an id that two prompts have."""
        if isinstance(row, BadInput):
            raise row
        if (index := self._indices.setdefault(row.prompt_id, len(self.prompts))) < len(self.prompts):
            _require_same(row.prompt(), location, self.prompts[index], self.locations[row.prompt_id])
            self.num_duplicates += 1
            return
        self.locations[row.prompt_id] = location
        self.prompts.append_packed(row.packed)
        if (first := self._asked.setdefault(row.question_id, index)) < index:
            _remark_conflict(self.remarks, location, row.prompt(), self.prompts[first], self.locations)


class _ReadRow(NamedTuple):
    prompt_id: str
    question_id: int
    packed: bytes

    def prompt(self) -> Prompt:
        return unpacked(self.packed)


class _ReadPart:
    """The rows of one part of a set, read and packed, or what is wrong with them: comes from another process."""

    def __init__(
        self, options: Mapping[str, Any], limit: int | None, part: Callable[[], Iterator[DatasetRow]]
    ) -> None:
        reader, unread = PromptReader(**options), UnreadColumns(COLUMNS, options["columns"])
        self._rows: list[tuple[str, _ReadRow | BadInput]] = []
        self._end: BadInput | None = None
        prompt_ids = set()
        try:
            for row in part():
                unread.see(row)
                try:
                    prompt = reader.read(row)
                except BadInput as why:
                    self._rows.append((row.location, why))
                    continue
                question_id = int(prompt.question_id, 16)
                self._rows.append((row.location, _ReadRow(prompt.prompt_id, question_id, packed(prompt))))
                if limit is not None:
                    prompt_ids.add(prompt.prompt_id)
                    if len(prompt_ids) == limit:
                        break
        except BadInput as why:
            self._end = why
        self.unread_columns, self.num_not_decoded = unread.found, reader.num_not_decoded
        self.remarks = reader.remarks

    def rows(self) -> Iterator[tuple[str, _ReadRow | BadInput]]:
        """Each with its location. Raises: BadInput where the part could not be read on."""
        yield from self._rows
        if self._end is not None:
            raise self._end


def save_prompts(path: str | os.PathLike[str], prompts: Iterable[Prompt]) -> Path:
    """Write prompts as Parquet whose pictures are `datasets` `Image` features. Returns the path."""
    return write_parquet(path, prompts, prompt_columns, PROMPT_FIELDS)


def _require_same(prompt: Prompt, location: str, earlier: Prompt, earlier_location: str) -> None:
    """Raises `BadInput` where an earlier row had the same id and said something else."""
    if not _same_content(earlier, prompt):
        raise BadInput(
            f"{location}, column 'prompt_id': {prompt.prompt_id[:60]!r} is also the id of {earlier_location}, whose "
            "content differs"
        )


def _remark_conflict(
    remarks: RowRemarks, location: str, prompt: Prompt, earlier: Prompt, locations: Mapping[str, str]
) -> None:
    """Where the same rule judges the same question, by another reference or under another id."""
    if (prompt.verifier, prompt.verifier_options) == (earlier.verifier, earlier.verifier_options):
        first, second = (shown(one.reference_text, 40) for one in (earlier, prompt))
        instead = f"with another reference ({second!r} instead of {first!r})"
        if first == second:
            instead = "and expects the same, under another id: one of the two is enough"
        remarks.add(location, f": asks the same as {locations[earlier.prompt_id]} {instead}")


def _same_content(one: Prompt, other: Prompt) -> bool:
    def content(prompt: Prompt) -> str:
        return content_id(prompt.messages, prompt.images, prompt.videos, prompt.verifier, prompt.reference)

    return content(one) == content(other)


def _source_name(path_or_hub_id: str | os.PathLike[str]) -> str:
    """`prompts` for prompts.jsonl; a hub id stays as it is."""
    name = os.fspath(path_or_hub_id)
    return Path(name).stem if Path(name).exists() else name
