"""The columns of a row by Hone's names, whatever the set calls them, and what is odd about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sampler.data.prompt_messages import checked_text
from sampler.data.reference import is_missing
from sampler.rows.known_format import KnownFormat, known_format, odd_names, renaming, wrapping_column
from sampler.rows.row import DatasetRow, column_value
from sampler.rows.wrong_rows import RowRemarks
from verifiers.errors import BadInput, near_name, slip_of

COLUMNS = (
    "prompt_id",
    "messages",
    "images",
    "videos",
    "kind",
    "verifier",
    "verifier_options",
    "reference",
    "reference_json",
    "source",
    "tags",
)


class RowColumns:
    """What the rows of a set are called: by ``columns``, by a format that is known, or as Hone does. `remarks` are what
    was odd about rows that were read."""

    def __init__(self, columns: Mapping[str, str] | None) -> None:
        """Raises: BadInput for a column that Hone has not."""
        for name in columns or {}:
            if name not in COLUMNS:
                raise BadInput(
                    f"unknown column {name!r}{near_name(name, COLUMNS)} (columns: {', '.join(COLUMNS)})"
                )
        self._columns = dict(columns or {})
        self._column = ""  # looked at last: where an error is
        self._theirs: KnownFormat | None = None  # of the row at work
        self.remarks = RowRemarks()

    def _format_of(self, row: DatasetRow) -> KnownFormat | None:
        found = None if "messages" in self._columns else known_format(row.values)
        if found is not None:
            self.remarks.add(row.location, f": {found}")
        return found

    def _remark(self, row: DatasetRow, remark: str) -> None:
        """Of the column that was looked at last."""
        self.remarks.add(row.location, f", column {self._name_of(self._column, row)!r}: {remark}")

    def _text(self, row: DatasetRow, column: str) -> str:
        value = self._value(row, column)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise BadInput(f"expected text, got {type(value).__name__}")
        return checked_text(value)

    def _value(self, row: DatasetRow, column: str) -> Any:
        """The column's value, or None where the row has none; a mapped name may lead into a struct by dots."""
        self._column = column
        name = self._name_of(column, row)
        value = row.values.get(name)
        if value is None and "." in name:
            value = column_value(row.values, name)
        return None if value is None or is_missing(value) else value

    def _name_of(self, column: str, row: DatasetRow) -> str:
        """What the set calls Hone's column."""
        if not self._columns and (self._theirs is None or column in row.values):
            return column
        if self._theirs is not None and column not in self._columns and column not in row.values:
            return self._theirs.columns.get(column, column)
        name = self._columns.get(column, column)
        if name != column and column in row.values and not _has(row.values, name):
            return column  # a set in Hone's own columns where names for another one are given
        return name

    def _required(self, row: DatasetRow, column: str) -> Any:
        value = self._value(row, column)
        if value is not None:
            return value
        name = self._name_of(column, row)
        if name in row.values:
            nan = "" if row.values[name] is None else " (NaN)"
            raise BadInput(f"the row has no value here{nan}")
        have = [str(key) for key in row.values]
        if (wrapper := wrapping_column(row.values, name)) is not None:
            raise BadInput(
                f"the rows lie in a list under {wrapper!r}: write that list alone, or one row a line"
            )
        hint = self._slip(row, column)
        if column == "verifier" and not hint:
            hint = "; name a rule, or set kind to 'general' where a reward model judges"
        raise BadInput(f"there is no such column{hint} (columns: {', '.join(have)[:200] or 'none'})")

    def _slip(self, row: DatasetRow, column: str) -> str:
        """What may be a slip of a column that the row lacks, as a hint."""
        name = self._name_of(column, row)
        return (
            ""
            if name in row.values
            else renaming(row.values, name) or slip_of(name, odd_names(row.values, COLUMNS))
        )


def _has(values: Mapping[str, Any], name: str) -> bool:
    return name in values or name.partition(".")[0] in values
