"""Arrow's tables as plain rows, and single cells of a Parquet file or a hub set read again."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sampler.atomic_file import written_whole

_PART_ROWS = 2048
GROUP_BYTES = 64 * 2**20  # of a column in a row group: as much is read for one cell, and four are kept
_BATCH_ROWS = 100
_BATCH_BYTES = 8 * 2**20


def plain_rows(table: pa.RecordBatch | pa.Table) -> list[dict[str, Any]]:
    """A row a mapping. A float of 32 bits becomes the number that its shortest text says: 0.1, not
    0.10000000149011612."""
    columns = [
        column if wide == column.type else column.cast(_with_floats(column.type, pa.string())).cast(wide)
        for column in table.columns
        for wide in [_with_floats(column.type, pa.float64())]
    ]
    plain = type(table).from_arrays(columns, names=table.schema.names)
    has_maps = "map<" in str(table.schema)  # to ask for dicts takes twice as long
    rows: list[dict[str, Any]] = plain.to_pylist(maps_as_pydicts="lossy" if has_maps else None)
    return rows


def _with_floats(dtype: pa.DataType, wanted: pa.DataType) -> pa.DataType:
    """The type with its short floats, however deep, as ``wanted``."""
    if pa.types.is_float32(dtype):
        return wanted
    if pa.types.is_struct(dtype):
        return pa.struct([field.with_type(_with_floats(field.type, wanted)) for field in dtype])
    if pa.types.is_list(dtype) or pa.types.is_large_list(dtype) or pa.types.is_fixed_size_list(dtype):
        item = dtype.value_field.with_type(_with_floats(dtype.value_type, wanted))
        if pa.types.is_fixed_size_list(dtype):
            return pa.list_(item, dtype.list_size)
        return pa.large_list(item) if pa.types.is_large_list(dtype) else pa.list_(item)
    return dtype


def open_parquet(file: Path | str) -> Any:
    """A file of which a piece is read at a time: without a buffer's size a row group would be, however large."""
    return pq.ParquetFile(file, pre_buffer=False, buffer_size=2**20)


def small_batches(
    parquet: Any, groups: list[int] | None = None, columns: list[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """The rows of these groups, or of all, some MiB at a time."""
    metadata = parquet.metadata
    chosen = [metadata.row_group(index) for index in groups or range(metadata.num_row_groups)]
    num_bytes = sum(one.total_byte_size for one in chosen)
    fitting = _BATCH_BYTES * sum(one.num_rows for one in chosen) // max(1, num_bytes)
    rows = min(max(1, fitting), _BATCH_ROWS)
    batches: Iterator[pa.RecordBatch] = parquet.iter_batches(rows, groups, columns, use_threads=False)
    return batches


def row_group_parts(file: Path) -> list[tuple[list[int] | None, int]]:
    """Row groups of at least ``_PART_ROWS`` rows together, and how many rows come before; None: the whole file."""
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


@lru_cache(maxsize=4)
def hub_table(hub_id: str, split: str) -> Any:
    """Arrow, so that pictures stay the bytes they are instead of being decoded and encoded again."""
    import datasets

    return datasets.load_dataset(hub_id, split=split).with_format("arrow")


def parquet_cell(file: str, position: int, column: str) -> dict[str, Any]:
    """One column of one row; the row group it lies in is kept, since the next row asked for may lie there too. What
    lies in a group of more than ``GROUP_BYTES`` is read from a copy of the column in small groups."""
    stat = Path(file).stat()
    version = (stat.st_ino, stat.st_mtime_ns)  # a file written anew is another file
    parquet = _parquet_file(file, version)
    starts, names = _layout(parquet)
    group = bisect_right(starts, position) - 1
    name = column if column in names else column.partition(".")[0]
    at = position - starts[group]
    if _column_bytes(parquet, group, name) > GROUP_BYTES and parquet.metadata.row_group(group).num_rows > 1:
        return parquet_cell(_in_small_groups(file, version, group, name), at, column)
    return {name: _row_group(parquet, group, name)[at].as_py()}


@lru_cache(maxsize=1024)
def _column_bytes(parquet: Any, group: int, name: str) -> int:
    metadata = parquet.metadata.row_group(group)
    columns = (metadata.column(index) for index in range(metadata.num_columns))
    return sum(
        one.total_uncompressed_size
        for one in columns
        if one.path_in_schema == name or one.path_in_schema.startswith(f"{name}.")
    )


def _in_small_groups(file: str, version: tuple[int, int], group: int, name: str) -> str:
    """A copy of one column of a large row group, made once a machine, some rows in memory at a time: Parquet has no way
    to one row of a group but through all before it. Raises: OSError."""
    folder = Path(tempfile.gettempdir(), f"hone-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    copy = folder / f"{hashlib.sha256(repr((file, version, group, name)).encode()).hexdigest()[:32]}.parquet"
    if copy.exists():
        return str(copy)
    parquet = _parquet_file(file, version)
    num_bytes, schema = _column_bytes(parquet, group, name), pa.schema([parquet.schema_arrow.field(name)])
    if shutil.disk_usage(folder).free < num_bytes + 2**30:
        raise OSError(
            f"its row group of {num_bytes / 2**30:.1f} GiB has no room as small ones in {folder}: write the set with "
            "row_group_size=100, or set TMPDIR to a larger disk"
        )
    with copy.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not copy.exists():
            with written_whole(copy) as temporary, pq.ParquetWriter(temporary, schema) as writer:
                for batch in small_batches(parquet, [group], [name]):
                    writer.write_batch(batch)
    return str(copy)


@lru_cache(maxsize=64)
def _parquet_file(file: str, version: tuple[int, int]) -> Any:
    return open_parquet(file)


@lru_cache(maxsize=64)
def _layout(parquet: Any) -> tuple[list[int], frozenset[str]]:
    """The rows at which row groups start, and the columns' names, which Arrow makes anew whenever it is asked."""
    sizes = [parquet.metadata.row_group(index).num_rows for index in range(parquet.num_row_groups)]
    return list(accumulate(sizes, initial=0))[:-1], frozenset(parquet.schema_arrow.names)


@lru_cache(maxsize=4)
def _row_group(parquet: Any, group: int, column: str) -> Any:
    return parquet.read_row_group(group, columns=[column]).column(0)
