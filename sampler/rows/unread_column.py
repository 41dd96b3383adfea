"""Columns of a set that nothing reads: mostly notes of its author, now and then a name that is misspelt."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sampler.rows.known_format import KnownFormat, known_format
from sampler.rows.row import DatasetRow

# High, since other columns are welcome: `image` is meant as `images`, `source_url` is not meant as `source`.
ALIKE = 0.85


@dataclass(frozen=True)
class UnreadColumn:
    """``location`` is of the first row that has it; ``meant`` the column which that row lacks, spelt alike."""

    name: str
    location: str
    meant: str | None


class UnreadColumns:
    """Looks at the rows of a set one by one. ``columns`` are what is read, ``renamed`` the set's own names for some of
    them, which may lead into a struct by dots; ``format_of`` a row are names that are read besides.

    >>> unread = UnreadColumns(["images", "reference"])
    >>> unread.see(DatasetRow("set.jsonl, line 1", {"image": "a.png", "reference": "3", "note": ""}, None))
    >>> [(column.name, column.meant) for column in unread.found]
    [('image', 'images'), ('note', None)]
    """

    def __init__(
        self,
        columns: Iterable[str],
        renamed: Mapping[str, str] | None = None,
        format_of: Callable[[Mapping[str, Any]], KnownFormat | None] = known_format,
    ) -> None:
        self._format_of = format_of
        self._renamed = dict(renamed or {})
        names = [self._renamed.get(column, column) for column in columns]
        self._known = frozenset(names) | {name.partition(".")[0] for name in names}
        self._found: dict[str, UnreadColumn] = {}
        self._seen: set[tuple[str, ...]] = (
            set()
        )  # the names of rows looked at: others with the same tell nothing new

    @property
    def found(self) -> tuple[UnreadColumn, ...]:
        """In the order seen, each once."""
        return tuple(self._found.values())

    def see(self, row: DatasetRow) -> None:
        """Note what nobody reads in this row; a name close to one that the row lacks is what was meant."""
        if (names := tuple(row.values)) in self._seen:
            return
        self._seen.add(names)
        known, theirs = self._known, self._format_of(row.values)
        if own := {ours for ours, name in self._renamed.items() if name.partition(".")[0] not in row.values}:
            known |= own  # which are read where the other name is missing
        if theirs is not None:
            known |= {name.partition(".")[0] for name in theirs.columns.values()} | {*theirs.beside}
        for name in names:
            if name not in known and name not in self._found:
                lacking = [column for column in sorted(self._known) if not row.values.get(column)]
                close = difflib.get_close_matches(name.strip().casefold(), lacking, n=1, cutoff=ALIKE)
                self._found[name] = UnreadColumn(name, row.location, close[0] if close else None)

    def add(self, found: Iterable[UnreadColumn]) -> None:
        """What another part of the set has, unless an earlier part had it."""
        for column in found:
            self._found.setdefault(column.name, column)
