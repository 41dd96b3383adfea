"""CSV and TSV: the first line names the columns, every value is text, an empty cell is none."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from sampler.rows.row import DatasetRow, one_line
from verifiers.errors import BadInput

MAX_CELL_CHARS = 256 * 2**20  # a picture may lie in one as a data URL


def csv_rows(file: Path) -> Iterator[DatasetRow]:
    """A row for each record, named by the line it begins on. Raises `BadInput`."""
    csv.field_size_limit(MAX_CELL_CHARS)
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, delimiter="\t" if file.suffix == ".tsv" else ",", strict=True)
            names = next(reader, [])
            twice = [name for name, num in Counter(names).items() if num > 1]
            remarks = tuple(f"the column {name!r} stands twice, and the last one counts" for name in twice)
            begin = reader.line_num + 1
            for cells in reader:
                location, begin = f"{file}, line {begin}", reader.line_num + 1
                if not cells:
                    continue
                fault = None
                if len(cells) != len(names):
                    fault = BadInput(f"{location}: {len(cells)} cells, and the first line names {len(names)}")
                values = {name: cell or None for name, cell in zip(names, cells, strict=False)}
                yield DatasetRow(location, values, file.parent, remarks=remarks, fault=fault)
    except (OSError, csv.Error, UnicodeDecodeError) as why:
        raise BadInput(f"{file}: not readable as CSV: {one_line(why)}") from None
