"""Some rows of a Parquet file, by what one of its columns says."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from sampler.rows.arrow_table import open_parquet, plain_rows, small_batches
from sampler.rows.row import DatasetRow, RowAddress, one_line
from verifiers.errors import BadInput


def chosen_rows(file: Path, column: str, wanted: Collection[str]) -> Iterator[DatasetRow]:
    """The rows whose ``column`` holds one of these texts, in order; nothing where there is no such column. Row groups
    without a wanted row are not read beyond it. Raises: BadInput."""
    values, first = pa.array(sorted(wanted), pa.string()), 0
    try:
        parquet = open_parquet(file)
        if column not in parquet.schema_arrow.names:
            return
        for group in range(parquet.num_row_groups):
            found = (
                parquet.read_row_group(group, columns=[column]).column(0).combine_chunks().cast(pa.string())
            )
            is_wanted = pc.is_in(found, value_set=values)
            if pc.any(is_wanted).as_py():
                yield from _rows_of_group(file, parquet, group, first, is_wanted)
            first += len(found)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as why:
        raise BadInput(f"{file}: not a readable Parquet file: {one_line(why)}") from None


def _rows_of_group(
    file: Path, parquet: pa.parquet.ParquetFile, group: int, first: int, is_wanted: pa.BooleanArray
) -> Iterator[DatasetRow]:
    """``first`` rows come before the group."""
    name, begin = str(file.absolute()), 0
    for batch in small_batches(parquet, [group]):
        chosen = pc.indices_nonzero(is_wanted.slice(begin, batch.num_rows))
        rows = plain_rows(batch.take(chosen)) if len(chosen) else []
        for index, values in zip(chosen.to_pylist(), rows, strict=True):
            position = first + begin + index
            yield DatasetRow(f"{file}, row {position + 1}", values, file.parent, RowAddress(name, position))
        begin += batch.num_rows
