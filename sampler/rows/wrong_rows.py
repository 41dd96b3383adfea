"""Rows of a set that are wrong or odd: collected, so that one reading names several instead of the first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sampler.rows.row import DatasetRow
from verifiers.counted import counted
from verifiers.errors import BadInput

MOST_NAMED = 10

RowT = TypeVar("RowT")


class RowRemarks:
    """What is said of rows; the same remark is counted under the first row that it was made of.

    >>> remarks = RowRemarks()
    >>> for line in (1, 2, 3):
    ...     remarks.add(f"line {line}", ": the reference is empty")
    >>> remarks.named()
    ('line 1: the reference is empty (and 2 more rows alike)',)
    """

    def __init__(self) -> None:
        self._rows: dict[str, tuple[str, int]] = {}  # by remark: the first row's location, how many rows

    def __bool__(self) -> bool:
        return bool(self._rows)

    def add(self, location: str, remark: str, num_rows: int = 1) -> None:
        """A remark goes on where the location ends."""
        first, count = self._rows.get(remark, (location, 0))
        self._rows[remark] = first, count + num_rows

    def merge(self, others: RowRemarks) -> None:
        """What was said of rows further on."""
        for remark, (location, num_rows) in others._rows.items():
            self.add(location, remark, num_rows)

    def named(self) -> tuple[str, ...]:
        """One line for each different remark, and a last one for those that are not named."""
        lines = [
            f"{location}{remark}" + (f" (and {counted(count - 1, 'more row')} alike)" if count > 1 else "")
            for remark, (location, count) in self._rows.items()
        ]
        rest = sum(count for _, count in list(self._rows.values())[MOST_NAMED:])
        return (*lines[:MOST_NAMED], *([f"and {counted(rest, 'more row')}"] if rest else []))


class BadRows(BadInput):
    """At least one row is wrong. The message is of the first; ``named`` are up to ``MOST_NAMED`` different ones."""

    def __init__(self, first: str, named: tuple[str, ...], num_rows: int) -> None:
        more = f" ({counted(num_rows - 1, 'more row')} wrong)" if num_rows > 1 else ""
        super().__init__(f"{first}{more}")
        self.named = named
        self.num_rows = num_rows


class WrongRows:
    """What is wrong with the rows of one set."""

    def __init__(self) -> None:
        self.num_rows = 0
        self._first: BadInput | None = None
        self._faults = RowRemarks()

    def __bool__(self) -> bool:
        return self.num_rows > 0

    def reading(self, rows: Iterable[RowT]) -> Iterator[RowT]:
        """The rows. Where the file itself cannot be read on, that is one more fault; raised when it is the only one."""
        try:
            yield from rows
        except BadInput as why:
            if not self:
                raise
            self._add("", why)

    def sound(self, rows: Iterable[DatasetRow]) -> Iterator[DatasetRow]:
        """Those of the rows that could be read."""
        for row in self.reading(rows):
            if row.fault is None:
                yield row
            else:
                self._add(row.location, row.fault)

    @contextmanager
    def collected(self, location: str) -> Iterator[None]:
        """An error inside the block is that of the row at ``location``."""
        try:
            yield
        except BadInput as why:
            self._add(location, why)

    def named(self) -> tuple[str, ...]:
        """One line for each different fault, and a last one for those that are not named."""
        return self._faults.named()

    def raise_any(self) -> None:
        """Raises: BadRows, unless every row was right."""
        if self._first is not None:
            raise BadRows(str(self._first), self.named(), self.num_rows) from self._first

    def _add(self, location: str, why: BadInput) -> None:
        self.num_rows += 1
        self._first = self._first or why
        message = str(why)
        named = location if message.startswith(location) else ""
        self._faults.add(named, message.removeprefix(named))
