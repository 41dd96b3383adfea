"""One row of a data set, with what names it in an error and where to read it again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from sampler.rows.arrow_table import hub_table, parquet_cell
from verifiers.errors import BadInput


class RowAddress(NamedTuple):
    """Where a row is read again: `position` is its number from 0 in a Parquet file or a hub set, and the byte at which
    its line begins in a file of JSON lines."""

    dataset: str
    position: int
    split: str | None = None  # of a hub set

    def __str__(self) -> str:
        if self.is_json:
            return f"{self.dataset}, byte {self.position}"
        return f"{self.dataset}{f'[{self.split}]' if self.split else ''}, row {self.position + 1}"

    @property
    def is_json(self) -> bool:
        return self.split is None and not self.dataset.endswith(".parquet")

    def value(self, column: str) -> Any:
        """The column's value, which may lie in a struct. Raises `BadInput` where the set can no longer be read."""
        try:
            if self.split is not None:
                row = hub_table(self.dataset, self.split)[self.position].to_pylist()[0]
            elif self.is_json:
                with Path(self.dataset).open("rb") as stream:
                    stream.seek(self.position)
                    row = json.loads(stream.readline().decode("utf-8-sig"))
            else:
                row = parquet_cell(self.dataset, self.position, column)
        except (OSError, ValueError, LookupError) as why:  # Arrow's errors are among these
            raise BadInput(f"{self}: cannot be read again: {one_line(why)}") from None
        return column_value(row, column)


@dataclass(frozen=True)
class DatasetRow:
    """`location` reads `prompts.jsonl, line 3` (or `row 3`, from 1); paths in the row are relative to `folder`. A row
    of one JSON list has no `address`. `remarks` are what is odd about the row as it was written; a `fault` is why it
    could not be read, and then it holds nothing or a part."""

    location: str
    values: dict[str, Any]
    folder: Path | None
    address: RowAddress | None = None
    remarks: tuple[str, ...] = ()
    fault: BadInput | None = None

    @property
    def is_typed(self) -> bool:
        """Whether every mapping of a column has the same keys, null where a row gave none."""
        return self.address is not None and not self.address.is_json


def column_value(values: Any, column: str) -> Any:
    """The column's value, or None where the row has none; dots in the name may lead into a struct."""
    if isinstance(values, dict) and (column in values or "." not in column):
        return values.get(column)
    for part in column.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    return values


def one_line(why: BaseException) -> str:
    return (" ".join(str(why).split()) or type(why).__name__)[:200]
