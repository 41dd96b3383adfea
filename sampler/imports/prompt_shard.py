"""Prompts that several processes read, written by each to a file of its own and put together in one Parquet file."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from sampler.atomic_file import written_whole
from sampler.data.prompt_schema import GROUP_BYTES, PROMPT_FIELDS, parquet_schema, prompt_columns
from sampler.prompt import Prompt

BATCH_ROWS = 256
_SCHEMA = parquet_schema(PROMPT_FIELDS)


def warm_up() -> None:
    """Have Arrow import pandas, which it does with the first array: here, and not in each process that is forked."""
    pa.array([""])


class ShardWriter:
    """A context manager that writes the prompts added to it as Arrow; without a file it does not."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._stack = ExitStack()
        self._held: list[Prompt] = []
        self._num_bytes = 0

    def __enter__(self) -> ShardWriter:
        if self._file is not None:
            self._writer = self._stack.enter_context(pa.ipc.new_file(str(self._file), _SCHEMA))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, why: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            if kind is None:
                self._flush()

    def add(self, prompt: Prompt) -> None:
        """Of whose pictures the bytes are at hand."""
        if self._file is None:
            return
        self._held.append(prompt)
        self._num_bytes += sum(len(one.source) for one in prompt.images if isinstance(one.source, bytes))
        if len(self._held) == BATCH_ROWS or self._num_bytes > GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._held:
            self._writer.write_table(pa.table(prompt_columns(self._held), schema=_SCHEMA))
            self._held, self._num_bytes = [], 0


class MergedShards:
    """A context manager that puts shards together in one Parquet file, which is there whole or not at all; without a
    file it does not."""

    def __init__(self, out: Path | None) -> None:
        self._out = out
        self._stack = ExitStack()
        self._tables: list[pa.Table] = []
        self._num_bytes = 0
        self._is_discarded = False

    def __enter__(self) -> MergedShards:
        if self._out is not None:
            self._temporary = self._out.with_name(f".{self._out.name}.merging")
            self._writer = self._stack.enter_context(
                pq.ParquetWriter(self._temporary, _SCHEMA, compression="zstd")
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, why: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._out is None:
            return
        try:
            with self._stack:
                if kind is None:
                    self._flush()
            if kind is None and not self._is_discarded:
                with written_whole(self._out) as temporary:
                    self._temporary.replace(temporary)
        finally:
            self._temporary.unlink(missing_ok=True)

    def add(self, shard: Path | None, taken: list[bool]) -> None:
        """The rows of a shard that are taken; the shard is removed."""
        if self._out is None or shard is None:
            return
        if any(taken):
            with pa.memory_map(str(shard)) as mapped:
                table = pa.ipc.open_file(mapped).read_all()
                kept = table if all(taken) else table.filter(pa.array(taken))
                for batch in kept.to_batches():
                    self._hold(pa.table(batch))
                self._flush()  # before the map is closed
        shard.unlink()

    def discard(self) -> None:
        """Leave no file: nothing was imported."""
        self._is_discarded = True

    def _hold(self, table: pa.Table) -> None:
        self._tables.append(table)
        self._num_bytes += table.nbytes
        if self._num_bytes >= GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._tables:
            self._writer.write_table(pa.concat_tables(self._tables).combine_chunks())
            self._tables, self._num_bytes = [], 0
