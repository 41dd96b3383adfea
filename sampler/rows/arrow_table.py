"""Arrow's tables as plain rows, and single cells of a Parquet file or a hub set read again."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa

_PART_ROWS = 2048


def plain_rows(table: pa.RecordBatch | pa.Table) -> list[dict[str, Any]]:
    """A row a mapping. A float of 16 or 32 bits becomes the number that its shortest text says: 0.1, not
    0.10000000149011612."""
    columns = [
        column if wide == column.type else column.cast(_with_floats(column.type, pa.string())).cast(wide)
        for column in table.columns
        for wide in [_with_floats(column.type, pa.float64())]
    ]
    plain = type(table).from_arrays(columns, names=table.schema.names)
    rows: list[dict[str, Any]] = plain.to_pylist(maps_as_pydicts="lossy")
    return rows


def _with_floats(dtype: pa.DataType, wanted: pa.DataType) -> pa.DataType:
    """The type with its short floats, however deep, as ``wanted``."""
    if pa.types.is_float16(dtype) or pa.types.is_float32(dtype):
        return wanted
    if pa.types.is_struct(dtype):
        return pa.struct([field.with_type(_with_floats(field.type, wanted)) for field in dtype])
    if pa.types.is_list(dtype):
        return pa.list_(dtype.value_field.with_type(_with_floats(dtype.value_type, wanted)))
    if pa.types.is_large_list(dtype):
        return pa.large_list(dtype.value_field.with_type(_with_floats(dtype.value_type, wanted)))
    if pa.types.is_fixed_size_list(dtype):
        return pa.list_(dtype.value_field.with_type(_with_floats(dtype.value_type, wanted)), dtype.list_size)
    return dtype


def row_group_parts(file: Path) -> list[tuple[list[int] | None, int]]:
    """Row groups of at least ``_PART_ROWS`` rows together, and how many rows come before; None: the whole file."""
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


@lru_cache(maxsize=4)
def hub_table(hub_id: str, split: str) -> Any:
    """Arrow, so that pictures stay the bytes they are instead of being decoded and encoded again."""
    import datasets

    return datasets.load_dataset(hub_id, split=split).with_format("arrow")


def parquet_cell(file: str, position: int, column: str) -> dict[str, Any]:
    """One column of one row; the row group it lies in is kept, since the next row asked for may lie there too."""
    stat = Path(file).stat()
    parquet = _parquet_file(file, (stat.st_ino, stat.st_mtime_ns))  # a file written anew is another file
    starts, names = _layout(parquet)
    group = bisect_right(starts, position) - 1
    name = column if column in names else column.partition(".")[0]
    return {name: _row_group(parquet, group, name)[position - starts[group]].as_py()}


@lru_cache(maxsize=64)
def _parquet_file(file: str, version: tuple[int, int]) -> Any:
    import pyarrow.parquet as pq

    return pq.ParquetFile(file, pre_buffer=False)


@lru_cache(maxsize=64)
def _layout(parquet: Any) -> tuple[list[int], frozenset[str]]:
    """The rows at which row groups start, and the columns' names, which Arrow makes anew whenever it is asked."""
    sizes = [parquet.metadata.row_group(index).num_rows for index in range(parquet.num_row_groups)]
    return list(accumulate(sizes, initial=0))[:-1], frozenset(parquet.schema_arrow.names)


@lru_cache(maxsize=4)
def _row_group(parquet: Any, group: int, column: str) -> Any:
    return parquet.read_row_group(group, columns=[column]).column(0)
