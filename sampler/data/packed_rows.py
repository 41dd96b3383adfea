"""Rows in memory as bytes: a million prompts are some hundred MB instead of several GB of Python objects."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, TypeVar, overload

RowT = TypeVar("RowT")


class PackedRows(Sequence[RowT], Generic[RowT]):
    """Frozen rows (prompts, supervised rows), each built anew when it is asked for.

    >>> rows = PackedRows(["a", "b", "c"])
    >>> rows[1], list(rows[1:]), list(rows.select([2, 0]))
    ('b', ['b', 'c'], ['c', 'a'])
    """

    def __init__(self, rows: Iterable[RowT] = ()) -> None:
        self._packed: list[bytes] = []
        for row in rows:
            self.append(row)

    def append(self, row: RowT) -> None:
        self._packed.append(pickle.dumps(row, pickle.HIGHEST_PROTOCOL))

    def select(self, indices: Iterable[int]) -> PackedRows[RowT]:
        """The rows at these indices, in this order."""
        return self._of([self._packed[index] for index in indices])

    def __len__(self) -> int:
        return len(self._packed)

    @overload
    def __getitem__(self, index: int) -> RowT: ...

    @overload
    def __getitem__(self, index: slice) -> PackedRows[RowT]: ...

    def __getitem__(self, index: int | slice) -> RowT | PackedRows[RowT]:
        if isinstance(index, slice):
            return self._of(self._packed[index])
        row: RowT = pickle.loads(self._packed[index])  # noqa: S301 - made by this object
        return row

    def __iter__(self) -> Iterator[RowT]:
        return (self[index] for index in range(len(self)))

    @staticmethod
    def _of(packed: list[bytes]) -> PackedRows[RowT]:
        rows: PackedRows[RowT] = PackedRows()
        rows._packed = packed
        return rows
