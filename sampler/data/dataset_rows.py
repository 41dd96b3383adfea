"""Rows of a data set, wherever it lies, each with what names it in an error and where to read it again."""

from __future__ import annotations

import difflib
import json
import os
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import accumulate, chain
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from verifiers.errors import BadInput

SUFFIXES = (".jsonl", ".json", ".parquet")
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)
_BATCH_ROWS = 256
_PART_ROWS = 2048

ItemT = TypeVar("ItemT")


class RowAddress(NamedTuple):
    """Where a row is read again: `position` is its number from 0 in a Parquet file or a hub set, and the byte at which
    its line begins in a file of JSON lines."""

    dataset: str
    position: int
    split: str | None = None  # of a hub set

    def __str__(self) -> str:
        if self.dataset.endswith(".jsonl"):
            return f"{self.dataset}, byte {self.position}"
        return f"{self.dataset}{f'[{self.split}]' if self.split else ''}, row {self.position + 1}"

    def value(self, column: str) -> Any:
        """The column's value, which may lie in a struct. Raises `BadInput` where the set can no longer be read."""
        name = column.partition(".")[0]
        try:
            if self.split is not None:
                row = _hub_table(self.dataset, self.split)[self.position].to_pylist()[0]
            elif self.dataset.endswith(".parquet"):
                row = _parquet_row(self.dataset, self.position, column, name)
            else:
                with Path(self.dataset).open("rb") as stream:
                    stream.seek(self.position)
                    row = json.loads(stream.readline().decode("utf-8-sig"))
        except (OSError, ValueError, LookupError) as why:  # Arrow's errors are among these
            raise BadInput(f"{self}: cannot be read again: {_one_line(why)}") from None
        return column_value(row, column)


@dataclass(frozen=True)
class DatasetRow:
    """`location` reads `prompts.jsonl, line 3` (or `row 3`, from 1); paths in the row are relative to `folder`. A row
    of one JSON list has no `address`."""

    location: str
    values: dict[str, Any]
    folder: Path | None
    address: RowAddress | None = None


def column_value(values: Any, column: str) -> Any:
    """The column's value, or None where the row has none; dots in the name may lead into a struct."""
    if isinstance(values, dict) and column in values:
        return values[column]
    for part in column.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    return values


def dataset_rows(path_or_hub_id: str | os.PathLike[str], split: str | None = None) -> Iterator[DatasetRow]:
    """Rows of all parts of a set."""
    return chain.from_iterable(part() for part in dataset_parts(path_or_hub_id, split))


def dataset_parts(
    path_or_hub_id: str | os.PathLike[str], split: str | None = None
) -> list[Callable[[], Iterator[DatasetRow]]]:
    """The parts of a set, each of which a process of its own can read: a JSONL or JSON file, some row groups of a
    Parquet file; all such files of a directory (sorted); or a hub data set.

    `split` chooses a hub split (default `train`), or the files of a directory that are named for it
    (`train.parquet`, `train-00000-of-00002.parquet`). Local files are read here rather than by `datasets`, whose
    JSON reader names no row and whose every read leaves a copy in the cache. Raises `BadInput`.
    """
    name = os.fspath(path_or_hub_id)
    path = Path(name)
    if path.is_dir():
        return [part for file in _files_of(path, split) for part in _file_parts(file)]
    if path.is_file():
        if split is not None:
            raise BadInput(f"{name}: a single file has no splits, so split={split!r} cannot be chosen")
        return _file_parts(path)
    if _HUB_ID.fullmatch(name) and path.suffix not in SUFFIXES:
        return [partial(_hub_rows, name, split or "train")]
    raise BadInput(f"no such file: {name}{_near_file(path)}")


def _files_of(folder: Path, split: str | None) -> list[Path]:
    files = sorted(
        file for file in folder.iterdir() if file.suffix in SUFFIXES and not file.name.startswith(".")
    )
    if split is not None:
        chosen = [file for file in files if re.fullmatch(re.escape(split) + r"(-\d.*)?", file.stem)]
        if files and not chosen:
            raise BadInput(
                f"{folder}: no file of split {split!r} among {', '.join(f.name for f in files[:8])}"
            )
        files = chosen
    if not files:
        raise BadInput(f"{folder}: no file that ends in {', '.join(SUFFIXES)}")
    return files


def _near_file(path: Path) -> str:
    if not path.parent.is_dir():
        return f" (nor is there a directory {path.parent})"
    names = [entry.name for entry in path.parent.iterdir() if entry.suffix in SUFFIXES or entry.is_dir()]
    close = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
    return f"; did you mean {str(path.with_name(close[0]))!r}?" if close else ""


def _file_parts(file: Path) -> list[Callable[[], Iterator[DatasetRow]]]:
    if file.suffix == ".parquet":
        return [partial(_parquet_rows, file, groups, first) for groups, first in _row_group_parts(file)]
    if file.suffix in (".json", ".jsonl"):
        return [partial(_json_rows, file)]
    raise BadInput(f"{file}: a data file ends in {', '.join(SUFFIXES)}")


def _row_group_parts(file: Path) -> list[tuple[list[int] | None, int]]:
    """Row groups of at least ``_PART_ROWS`` rows together, and how many rows come before; None: the whole file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(file)
    except (pa.ArrowException, OSError):
        return [(None, 0)]  # reading it says what is wrong
    parts: list[tuple[list[int] | None, int]] = []
    groups: list[int] = []
    num_rows = first = 0
    for group in range(metadata.num_row_groups):
        groups.append(group)
        num_rows += metadata.row_group(group).num_rows
        if num_rows - first >= _PART_ROWS or group == metadata.num_row_groups - 1:
            parts.append((groups, first))
            groups, first = [], num_rows
    return parts if len(parts) > 1 else [(None, 0)]


def _parquet_rows(file: Path, groups: list[int] | None, number: int) -> Iterator[DatasetRow]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    name = str(file.absolute())
    try:
        parquet = pq.ParquetFile(file, pre_buffer=False)
        for batch in _made_ahead(parquet.iter_batches(batch_size=_BATCH_ROWS, row_groups=groups)):
            for values in batch.to_pylist():
                number += 1
                yield DatasetRow(f"{file}, row {number}", values, file.parent, RowAddress(name, number - 1))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as why:
        where = f" after row {number}" if number else ""
        raise BadInput(f"{file}: not a readable Parquet file{where}: {_one_line(why)}") from None


def _made_ahead(items: Iterator[ItemT]) -> Iterator[ItemT]:
    """The items, the next one made in a thread while one is worked on."""
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, items, None)
        while (item := following.result()) is not None:
            following = thread.submit(next, items, None)
            yield item


def _json_rows(file: Path) -> Iterator[DatasetRow]:
    """JSON Lines, or one JSON list: which of the two the first character tells."""
    try:
        with file.open("rb") as stream:
            head = stream.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
        if head.startswith(b"["):
            items = _parse(file.read_bytes(), str(file))
            for number, values in enumerate(items, 1):
                yield _json_row(f"{file}, row {number}", values, file, None)
            return
        name, begin = str(file.absolute()), 0
        with file.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                location, address = f"{file}, line {number}", RowAddress(name, begin)
                begin += len(line)
                if line.strip():
                    yield _json_row(location, _parse(line, location), file, address)
    except OSError as why:
        raise BadInput(f"{file}: cannot be read: {_one_line(why)}") from None


def _parse(text: bytes, location: str) -> Any:
    try:
        return json.loads(text.decode("utf-8-sig"))
    except (ValueError, RecursionError) as why:
        raise BadInput(f"{location}: not valid JSON: {_one_line(why)}") from None


def _json_row(location: str, values: Any, file: Path, address: RowAddress | None) -> DatasetRow:
    if not isinstance(values, dict):
        raise BadInput(
            f"{location}: a row is a JSON object with the columns as keys, got {type(values).__name__}"
        )
    return DatasetRow(location, values, file.parent, address)


@lru_cache(maxsize=4)
def _hub_table(hub_id: str, split: str) -> Any:
    """Arrow, so that pictures stay the bytes they are instead of being decoded and encoded again."""
    import datasets

    return datasets.load_dataset(hub_id, split=split).with_format("arrow")


def _hub_rows(hub_id: str, split: str) -> Iterator[DatasetRow]:
    try:
        table = _hub_table(hub_id, split)
    except Exception as why:  # noqa: BLE001 - network, cache, builder: one cannot be told from another
        raise BadInput(f"{hub_id}: neither a local file nor a hub data set: {_one_line(why)}") from None
    number = 0
    for batch in table.iter(batch_size=_BATCH_ROWS):
        for values in batch.to_pylist():
            number += 1
            location, address = f"{hub_id}[{split}], row {number}", RowAddress(hub_id, number - 1, split)
            yield DatasetRow(location, values, None, address)


def _parquet_row(file: str, position: int, column: str, name: str) -> dict[str, Any]:
    """One column of one row; the row group it lies in is kept, since the next row asked for may lie there too."""
    stat = Path(file).stat()
    parquet = _parquet_file(file, (stat.st_ino, stat.st_mtime_ns))  # a file written anew is another file
    starts = _row_group_starts(parquet)
    group = bisect_right(starts, position) - 1
    name = column if column in parquet.schema_arrow.names else name
    return {name: _row_group(parquet, group, name)[position - starts[group]].as_py()}


@lru_cache(maxsize=64)
def _parquet_file(file: str, version: tuple[int, int]) -> Any:
    import pyarrow.parquet as pq

    return pq.ParquetFile(file, pre_buffer=False)


@lru_cache(maxsize=64)
def _row_group_starts(parquet: Any) -> list[int]:
    sizes = [parquet.metadata.row_group(index).num_rows for index in range(parquet.num_row_groups)]
    return list(accumulate(sizes, initial=0))[:-1]


@lru_cache(maxsize=4)
def _row_group(parquet: Any, group: int, column: str) -> Any:
    return parquet.read_row_group(group, columns=[column]).column(0)


def _one_line(why: BaseException) -> str:
    return (" ".join(str(why).split()) or type(why).__name__)[:200]
