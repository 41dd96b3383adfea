"""Rows of a data set, wherever it lies, each with the words that name its place in an error."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verifiers.errors import BadInput

SUFFIXES = (".jsonl", ".json", ".parquet")
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)
_BATCH_ROWS = 256


@dataclass(frozen=True)
class DatasetRow:
    """`location` reads `prompts.jsonl, line 3` (or `row 3`, from 1); paths in the row are relative to `folder`."""

    location: str
    values: dict[str, Any]
    folder: Path | None


def dataset_rows(path_or_hub_id: str | os.PathLike[str], split: str | None = None) -> Iterator[DatasetRow]:
    """Rows of a JSONL, JSON or Parquet file, of all such files of a directory (sorted), or of a hub data set.

    `split` chooses a hub split (default `train`), or the files of a directory that are named for it
    (`train.parquet`, `train-00000-of-00002.parquet`). Local files are read here rather than by `datasets`, whose
    JSON reader names no row and whose every read leaves a copy in the cache. Raises `BadInput`.
    """
    name = os.fspath(path_or_hub_id)
    path = Path(name)
    if path.is_dir():
        for file in _files_of(path, split):
            yield from _file_rows(file)
    elif path.is_file():
        if split is not None:
            raise BadInput(f"{name}: a single file has no splits, so split={split!r} cannot be chosen")
        yield from _file_rows(path)
    elif _HUB_ID.fullmatch(name) and path.suffix not in SUFFIXES:
        yield from _hub_rows(name, split or "train")
    else:
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


def _file_rows(file: Path) -> Iterator[DatasetRow]:
    if file.suffix == ".parquet":
        return _parquet_rows(file)
    if file.suffix in (".json", ".jsonl"):
        return _json_rows(file)
    raise BadInput(f"{file}: a data file ends in {', '.join(SUFFIXES)}")


def _parquet_rows(file: Path) -> Iterator[DatasetRow]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        for batch in pq.ParquetFile(file).iter_batches(batch_size=_BATCH_ROWS):
            for values in batch.to_pylist():
                number += 1
                yield DatasetRow(f"{file}, row {number}", values, file.parent)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as why:
        where = f" after row {number}" if number else ""
        raise BadInput(f"{file}: not a readable Parquet file{where}: {_one_line(why)}") from None


def _json_rows(file: Path) -> Iterator[DatasetRow]:
    """JSON Lines, or one JSON list: which of the two the first character tells."""
    try:
        with file.open("rb") as stream:
            head = stream.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
        if head.startswith(b"["):
            items = _parse(file.read_bytes(), str(file))
            for number, values in enumerate(items, 1):
                yield _json_row(f"{file}, row {number}", values, file)
            return
        with file.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                location = f"{file}, line {number}"
                if line.strip():
                    yield _json_row(location, _parse(line, location), file)
    except OSError as why:
        raise BadInput(f"{file}: cannot be read: {_one_line(why)}") from None


def _parse(text: bytes, location: str) -> Any:
    try:
        return json.loads(text.decode("utf-8-sig"))
    except (ValueError, RecursionError) as why:
        raise BadInput(f"{location}: not valid JSON: {_one_line(why)}") from None


def _json_row(location: str, values: Any, file: Path) -> DatasetRow:
    if not isinstance(values, dict):
        raise BadInput(
            f"{location}: a row is a JSON object with the columns as keys, got {type(values).__name__}"
        )
    return DatasetRow(location, values, file.parent)


def _hub_rows(hub_id: str, split: str) -> Iterator[DatasetRow]:
    """Through Arrow, so that pictures stay the bytes they are instead of being decoded and encoded again."""
    import datasets

    try:
        table = datasets.load_dataset(hub_id, split=split).with_format("arrow")
    except Exception as why:  # noqa: BLE001 - network, cache, builder: one cannot be told from another
        raise BadInput(f"{hub_id}: neither a local file nor a hub data set: {_one_line(why)}") from None
    number = 0
    for batch in table.iter(batch_size=_BATCH_ROWS):
        for values in batch.to_pylist():
            number += 1
            yield DatasetRow(f"{hub_id}[{split}], row {number}", values, None)


def _one_line(why: BaseException) -> str:
    return (" ".join(str(why).split()) or type(why).__name__)[:200]
