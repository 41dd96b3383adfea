"""Rows of a data set, wherever it lies: JSON lines, JSON, Parquet, CSV, tar, a folder of such files, or a hub set."""

from __future__ import annotations

import difflib
import json
import os
import re
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from sampler.rows.arrow_table import hub_table, open_parquet, plain_rows, row_group_parts, small_batches
from sampler.rows.csv_rows import csv_rows
from sampler.rows.row import DatasetRow, RowAddress, one_line
from sampler.rows.tar_rows import tar_rows
from verifiers.errors import BadInput

SUFFIXES = (".jsonl", ".json", ".parquet", ".ndjson", ".csv", ".tsv", ".tar")
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)
_HUB_NOTES = ("dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json")
# What Hone itself writes beside a set, which holds no rows: what people decided about its prompts, how a run read it,
# how it was imported and what is not in it, by which rule it was chosen, what was left out as a duplicate.
CURATION_EVENTS, DESCRIBED, IMPORTED = "curation.jsonl", ".set.json", ".import.json"
REJECTED, SELECTED, LEFT_OUT = ".rejected.jsonl", ".selection.json", ".duplicates.json"
NO_ROWS = (CURATION_EVENTS, DESCRIBED, IMPORTED, REJECTED, SELECTED, LEFT_OUT)
_SPLIT = re.compile(r"(train|test|validation|valid|val|dev|eval)(-\d.*)?")
_TABLES = (".csv", ".tsv", ".tar")  # in a folder only where no other data file is
_BATCH_ROWS = 256
PART_BYTES = 4 * 2**20  # of JSON lines, which one process reads
_MAX_OBJECT_BYTES = (
    2**28
)  # of one object over several lines; a larger file is lines, the first of them broken

ItemT = TypeVar("ItemT")


def dataset_rows(path_or_hub_id: str | os.PathLike[str], split: str | None = None) -> Iterator[DatasetRow]:
    """Rows of all parts of a set. Raises `BadInput` at the first that cannot be read."""
    for row in every_row(path_or_hub_id, split):
        if row.fault is not None:
            raise row.fault
        yield row


def every_row(path_or_hub_id: str | os.PathLike[str], split: str | None = None) -> Iterator[DatasetRow]:
    """Rows of all parts of a set, those with a ``fault`` too. Raises `BadInput` where a part cannot be read at all."""
    for part in dataset_parts(path_or_hub_id, split):
        yield from part()


def dataset_parts(
    path_or_hub_id: str | os.PathLike[str], split: str | None = None
) -> list[Callable[[], Iterator[DatasetRow]]]:
    """The parts of a set, each of which a process of its own can read: some MiB of a JSONL file, some row groups of a
    Parquet file, another file whole; all such files of a directory (sorted); or a hub data set.

    `split` chooses a hub split (default `train`), or the files of a directory that are named for it
    (`train.parquet`, `train-00000-of-00002.parquet`). Local files are read here rather than by `datasets`, whose
    JSON reader names no row and whose every read leaves a copy in the cache. Raises `BadInput`.
    """
    name = os.fspath(path_or_hub_id)
    path = Path(name)
    if path.exists():
        return [part for file in dataset_files(path, split) for part in _file_parts(file)]
    if _HUB_ID.fullmatch(name) and path.suffix not in SUFFIXES:
        return [partial(_hub_rows, name, split or "train")]
    raise BadInput(f"no such file: {name}{_near_file(path)}")


def dataset_files(path: Path, split: str | None = None) -> list[Path]:
    """The file itself, or the data files of a folder, also where it is laid out as on the hub: files in `data/`, notes
    beside it, and where files are named for splits and none is asked for, those of `train`. Raises `BadInput`."""
    if not path.is_dir():
        if split is not None:
            raise BadInput(f"{path}: a single file has no splits, so split={split!r} cannot be chosen")
        return [path]
    files = next(filter(None, map(_files_in, (path, path / "data", path / (split or "train")))), [])
    if not files:
        inner = sorted({file.parent.name for file in path.rglob("*") if file.suffix in SUFFIXES[:3]})
        hint = f"; name one of the folders in it: {', '.join(inner[:8])}" if inner else ""
        if any(path.rglob("*.arrow")):
            hint = ": a set that `save_to_disk` wrote is read once it is written with `to_parquet`"
        raise BadInput(f"{path}: no file that ends in {', '.join(SUFFIXES)}{hint}")
    if files[0].parent == path / (split or "train"):
        return files
    named = {file: match[1] for file in files if (match := _SPLIT.fullmatch(file.stem))}
    if split is None:
        return [
            file for file in files if named.get(file, "train") == "train" or "train" not in named.values()
        ]
    chosen = [file for file in files if re.fullmatch(re.escape(split) + r"(-\d.*)?", file.stem)]
    if not chosen:
        raise BadInput(f"{path}: no file of split {split!r} among {', '.join(f.name for f in files[:8])}")
    return chosen


def _files_in(folder: Path) -> list[Path]:
    files = folder.iterdir() if folder.is_dir() else ()
    found = sorted(
        file
        for file in files
        if file.suffix in SUFFIXES
        and not file.name.startswith(".")
        and not file.name.endswith(NO_ROWS)
        and file.name not in _HUB_NOTES
    )
    return [file for file in found if file.suffix not in _TABLES] or found


def _near_file(path: Path) -> str:
    if not path.parent.is_dir():
        return f" (nor is there a directory {path.parent})"
    names = [entry.name for entry in path.parent.iterdir() if entry.suffix in SUFFIXES or entry.is_dir()]
    close = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
    return f"; did you mean {str(path.with_name(close[0]))!r}?" if close else ""


def _file_parts(file: Path) -> list[Callable[[], Iterator[DatasetRow]]]:
    if file.suffix == ".parquet":
        return [partial(_parquet_rows, file, groups, first) for groups, first in row_group_parts(file)]
    if file.suffix in (".csv", ".tsv"):
        return [partial(csv_rows, file)]
    if file.suffix == ".tar":
        return [partial(tar_rows, file)]
    if file.suffix in SUFFIXES:
        return _json_parts(file)
    raise BadInput(f"{file}: a data file ends in {', '.join(SUFFIXES)}")


def _parquet_rows(file: Path, groups: list[int] | None, number: int) -> Iterator[DatasetRow]:
    import pyarrow as pa

    name, shown, folder = str(file.absolute()), str(file), file.parent
    try:
        for batch in _made_ahead(small_batches(open_parquet(file), groups)):
            for values in plain_rows(batch):
                number += 1
                yield DatasetRow(f"{shown}, row {number}", values, folder, RowAddress(name, number - 1))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as why:
        where = f" after row {number}" if number else ""
        raise BadInput(f"{file}: not a readable Parquet file{where}: {one_line(why)}") from None


def _made_ahead(items: Iterator[ItemT]) -> Iterator[ItemT]:
    """The items, the next one made in a thread while one is worked on."""
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, items, None)
        while (item := following.result()) is not None:
            following = thread.submit(next, items, None)
            yield item


def _json_parts(file: Path) -> list[Callable[[], Iterator[DatasetRow]]]:
    """Of JSON lines some MiB each; of one JSON list, or one object over several lines, the file: the beginning tells
    which."""
    try:
        with file.open("rb") as stream:
            head = stream.read(4096).removeprefix(BOM_UTF8).lstrip()
            stream.seek(0)
            first = next((line for line in stream if line.strip()), b"")
        spread = (
            head.startswith(b"{")
            and not _is_json(first)
            and file.stat().st_size <= _MAX_OBJECT_BYTES
            and _is_json(file.read_bytes())  # else lines, of which the first is broken
        )
        if head.startswith(b"[") or spread:
            return [partial(_rows_of_whole, file, is_list=head.startswith(b"["))]
        return [partial(_json_lines, file, *part) for part in _line_parts(file)]
    except OSError as why:
        return [partial(_unreadable, BadInput(f"{file}: cannot be read: {one_line(why)}"))]


def _unreadable(why: BadInput) -> Iterator[DatasetRow]:
    raise why
    yield


def _line_parts(file: Path) -> list[tuple[int, int, int]]:
    """Where each part begins and ends, which are the beginnings of lines, and how many lines come before it."""
    parts: list[tuple[int, int, int]] = []
    begin = num_lines = 0
    with file.open("rb") as stream:
        while block := stream.read(PART_BYTES):
            block += stream.readline()
            parts.append((begin, begin + len(block), num_lines))
            begin += len(block)
            num_lines += block.count(b"\n")
    return parts or [(0, 0, 0)]


def _json_lines(file: Path, begin: int, end: int, number: int) -> Iterator[DatasetRow]:
    name, shown, folder, json_text = str(file.absolute()), str(file), file.parent, _JsonText()
    try:
        with file.open("rb") as stream:
            stream.seek(begin)
            while begin < end and (line := stream.readline()):
                number += 1
                location, address = f"{shown}, line {number}", RowAddress(name, begin)
                begin += len(line)
                if not line.strip():
                    continue
                try:
                    values, twice = json_text.parsed(line, location)
                    row = _json_row(location, values, folder, address, chain.from_iterable(twice.values()))
                except BadInput as why:
                    row = DatasetRow(location, {}, folder, address, fault=why)
                yield row
    except OSError as why:
        raise BadInput(f"{file}: cannot be read: {one_line(why)}") from None


def _rows_of_whole(file: Path, *, is_list: bool) -> Iterator[DatasetRow]:
    try:
        text = file.read_bytes()
    except OSError as why:
        raise BadInput(f"{file}: cannot be read: {one_line(why)}") from None
    found, twice = _JsonText().parsed(text, str(file) if is_list else f"{file}, line 1")
    for number, values in enumerate(found if isinstance(found, list) else [found], 1):
        location = f"{file}, row {number}"
        try:
            row = _json_row(location, values, file.parent, None, twice.get(id(values), ()))
        except BadInput as why:
            row = DatasetRow(location, {}, file.parent, fault=why)
        yield row


def _is_json(text: bytes) -> bool:
    try:
        _JsonText().parsed(text, "")
    except BadInput:
        return False
    return True


def _fault(why: Exception) -> str:
    """What is wrong with a text of JSON; of one line its own number, 1, would mislead."""
    if not isinstance(why, json.JSONDecodeError) or "\n" in why.doc.strip():
        return one_line(why)
    if why.doc[why.pos : why.pos + 1] == "\n" and "control" in why.msg:
        return "a text has no closing quotation mark"
    return f"{why.msg.removesuffix(' at')} at character {why.pos + 1}"


class _JsonText:
    """Reads texts of JSON, with a decoder that is made once."""

    def __init__(self) -> None:
        self._decode = json.JSONDecoder(object_pairs_hook=self._object_of).decode
        self._twice: dict[int, list[str]] = {}

    def parsed(self, text: bytes, location: str) -> tuple[Any, dict[int, list[str]]]:
        """The value, and by the identity of an object in it the keys that stand in it twice. Raises `BadInput`."""
        self._twice = {}
        try:
            return self._decode(text.removeprefix(BOM_UTF8).decode()), self._twice
        except (ValueError, RecursionError) as why:
            raise BadInput(
                f"{location}: not valid JSON: {_fault(why)}; a row is one JSON object a line"
            ) from None

    def _object_of(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            self._twice[id(found)] = [
                key for key, count in Counter(key for key, _ in pairs).items() if count > 1
            ]
        return found


def _json_row(
    location: str, values: Any, folder: Path, address: RowAddress | None, twice: Iterable[str]
) -> DatasetRow:
    if not isinstance(values, dict):
        raise BadInput(
            f"{location}: a row is a JSON object with the columns as keys, got {type(values).__name__}"
        )
    remarks = tuple(f"the key {key!r} stands twice, and the last one counts" for key in twice)
    return DatasetRow(location, values, folder, address, remarks)


def _hub_rows(hub_id: str, split: str) -> Iterator[DatasetRow]:
    try:
        table = hub_table(hub_id, split)
    except Exception as why:  # noqa: BLE001 - network, cache, builder: one cannot be told from another
        raise BadInput(f"{hub_id}: neither a local file nor a hub data set: {one_line(why)}") from None
    number = 0
    for batch in table.iter(batch_size=_BATCH_ROWS):
        for values in plain_rows(batch):
            number += 1
            location, address = f"{hub_id}[{split}], row {number}", RowAddress(hub_id, number - 1, split)
            yield DatasetRow(location, values, None, address)
