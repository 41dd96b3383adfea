"""Rows of a set that are wrong: collected, so that one reading names several instead of the first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from verifiers.counted import counted
from verifiers.errors import BadInput

MOST_NAMED = 10

RowT = TypeVar("RowT")


class BadRows(BadInput):
    """At least one row is wrong. The message is of the first; ``named`` are up to ``MOST_NAMED`` different ones."""

    def __init__(self, first: str, named: tuple[str, ...], num_rows: int) -> None:
        more = f" ({counted(num_rows - 1, 'more row')} wrong)" if num_rows > 1 else ""
        super().__init__(f"{first}{more}")
        self.named = named
        self.num_rows = num_rows


class WrongRows:
    """What is wrong with the rows of one set. Rows with the same fault are counted under the first of them.

    >>> wrong = WrongRows()
    >>> for line in (1, 2, 3):
    ...     with wrong.collected(f"line {line}"):
    ...         raise BadInput(f"line {line}: the reference is empty")
    >>> wrong.named()
    ('line 1: the reference is empty (and 2 more rows alike)',)
    """

    def __init__(self) -> None:
        self.num_rows = 0
        self._first: BadInput | None = None
        self._alike: dict[str, list[str]] = {}  # by what is wrong: the messages

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

    @contextmanager
    def collected(self, location: str) -> Iterator[None]:
        """An error inside the block is that of the row at ``place``."""
        try:
            yield
        except BadInput as why:
            self._add(location, why)

    def named(self) -> tuple[str, ...]:
        """One line for each different fault, and a last one for those that are not named."""
        lines = [
            f"{alike[0]} (and {counted(len(alike) - 1, 'more row')} alike)" if len(alike) > 1 else alike[0]
            for alike in self._alike.values()
        ]
        rest = sum(map(len, list(self._alike.values())[MOST_NAMED:]))
        return (*lines[:MOST_NAMED], *([f"and {counted(rest, 'more row')}"] if rest else []))

    def raise_any(self) -> None:
        """Raises: BadRows, unless every row was right."""
        if self._first is not None:
            raise BadRows(str(self._first), self.named(), self.num_rows) from self._first

    def _add(self, location: str, why: BadInput) -> None:
        self.num_rows += 1
        self._first = self._first or why
        self._alike.setdefault(str(why).removeprefix(location), []).append(str(why))
