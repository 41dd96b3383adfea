"""Rows in memory as bytes: a million prompts are some hundred MB instead of several GB of Python objects."""

from __future__ import annotations

import ctypes
import gc
import os
import pickle
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields
from multiprocessing import get_context
from typing import Any, Generic, TypeVar, overload

from sampler.data.media.media_bytes import MediaCell, MediaFile
from sampler.prompt import Prompt
from sampler.rows.row import RowAddress
from sampler.vision_input import VisionInput

_VALUES = [one.name for one in fields(Prompt) if one.name not in ("images", "videos")]

RowT = TypeVar("RowT")
PartT = TypeVar("PartT")
ResultT = TypeVar("ResultT")


def packed(row: Any) -> bytes:
    """A row as ``PackedRows`` holds it; a prompt by its values alone, in a third of the time and half the room."""
    return pickle.dumps(_plain(row) if type(row) is Prompt else row, pickle.HIGHEST_PROTOCOL)


def unpacked(row: bytes) -> Any:
    """The row that ``packed`` was given."""
    found = pickle.loads(row)  # noqa: S301 - packed by this program
    return _prompt(found) if type(found) is tuple else found


def _plain(prompt: Prompt) -> tuple[Any, ...]:
    values = vars(prompt)
    shown = [
        tuple(
            (one.kind, one.content_hash, _plain_source(one.source), one.size, one.schedule)
            for one in values[column]
        )
        for column in ("images", "videos")
    ]
    return (*shown, *(values[name] for name in _VALUES))


def _plain_source(source: Any) -> Any:
    if type(source) is MediaCell:
        return (tuple(source.row), source.column, source.item)
    return tuple(source) if type(source) is MediaFile else source


def _prompt(plain: tuple[Any, ...]) -> Prompt:
    images, videos, *values = plain
    prompt = Prompt.__new__(Prompt)
    vars(prompt).update(zip(_VALUES, values, strict=True), images=_shown(images), videos=_shown(videos))
    return prompt


def _shown(plain: tuple[Any, ...]) -> tuple[VisionInput, ...]:
    return tuple(VisionInput(kind, content, _source(source), *rest) for kind, content, source, *rest in plain)


def _source(plain: Any) -> Any:
    if type(plain) is not tuple:
        return plain
    return MediaFile(*plain) if len(plain) == 1 else MediaCell(RowAddress(*plain[0]), *plain[1:])


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
        self._packed.append(packed(row))

    def append_packed(self, row: bytes) -> None:
        """What ``packed`` made of a row."""
        self._packed.append(row)

    def select(self, indices: Iterable[int]) -> PackedRows[RowT]:
        """The rows at these indices, in this order."""
        return self._of([self._packed[index] for index in indices])

    def with_rows(self, changed: Mapping[int, RowT]) -> PackedRows[RowT]:
        """The same rows with others at these indices."""
        rows = self._packed.copy()
        for index, row in changed.items():
            rows[index] = packed(row)
        return self._of(rows)

    def __len__(self) -> int:
        return len(self._packed)

    @overload
    def __getitem__(self, index: int) -> RowT: ...

    @overload
    def __getitem__(self, index: slice) -> PackedRows[RowT]: ...

    def __getitem__(self, index: int | slice) -> RowT | PackedRows[RowT]:
        if isinstance(index, slice):
            return self._of(self._packed[index])
        row: RowT = unpacked(self._packed[index])
        return row

    def __iter__(self) -> Iterator[RowT]:
        return (self[index] for index in range(len(self)))

    @staticmethod
    def _of(packed: list[bytes]) -> PackedRows[RowT]:
        rows: PackedRows[RowT] = PackedRows()
        rows._packed = packed
        return rows


def in_processes(function: Callable[[PartT], ResultT], parts: Sequence[PartT]) -> Iterator[ResultT]:
    """``function`` of each part, in order, made by as many processes as there are cores. They are forked, so that a
    program needs no guard around its own start, and end with this process, however it ends."""
    num_processes = min(len(os.sched_getaffinity(0)), len(parts))
    if num_processes < 2:
        yield from map(function, parts)
        return
    _inherited.append(function)  # not sent: it may hold a tokenizer
    gc.freeze()  # what is there already is shared with them: a collector that looks at it would copy it
    try:
        with ProcessPoolExecutor(num_processes, get_context("fork"), _end_with, (os.getpid(),)) as pool:
            yield from pool.map(_call_inherited, parts)
    finally:
        gc.unfreeze()
        _inherited.pop()


_inherited: list[Callable[[Any], Any]] = []


def _call_inherited(part: Any) -> Any:
    return _inherited[-1](part)


def _end_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)
