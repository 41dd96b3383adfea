"""Many small rollout shards made into few, all at one moment."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sampler.atomic_file import exchange
from sampler.store.log_schema import SCHEMA, require_readable
from verifiers.errors import HoneError

MADE_OF = b"hone.made_of"  # in a compacted shard: name and SHA-256 of those that it was made of
MAX_BYTES = 512 * 2**20  # of the shards that become one
ROW_GROUP = 50_000  # rows at least, where there are so many


@dataclass(frozen=True)
class Compaction:
    """What became of a stage's log."""

    num_before: int
    num_after: int
    num_rows: int = 0


def compact(directory: Path, scratch: Path, *, max_bytes: int = MAX_BYTES) -> Compaction:
    """The shards of ``directory`` as few shards of about ``max_bytes``: the same rows in the same order, in the schema
    of today. ``scratch`` is a folder beside it on the same disk, outside any log, for this stage alone.

    The new folder is made whole in ``scratch`` and then takes the old one's place in one step: a reader that opens the
    folder finds the old shards or the new, and a kill leaves one of the two. What a killed one left is cleared.

    Raises: BadInput for a shard of a newer Hone; HoneError where the disk cannot exchange two folders.
    """
    shutil.rmtree(scratch, ignore_errors=True)
    shards = sorted(directory.glob("step-*.parquet"))
    parts = _parts(shards, max_bytes)
    if len(parts) == len(shards):
        return Compaction(len(shards), len(shards))
    require_readable(shards)
    scratch.mkdir(parents=True)
    others = [file for file in directory.iterdir() if file not in shards]
    for file in others:
        if not file.name.startswith("."):
            shutil.copy2(file, scratch / file.name)
    num_rows = sum(_merged(part, scratch) for part in parts)
    _sync(scratch)
    try:
        exchange(scratch, directory)
    except OSError as why:
        raise HoneError(
            f"{directory} cannot be compacted: this disk cannot exchange two folders at one moment ({why.strerror}); "
            "copy the run to a local disk"
        ) from why
    shutil.rmtree(scratch, ignore_errors=True)
    return Compaction(len(shards), len(parts), num_rows)


def _parts(shards: Sequence[Path], max_bytes: int) -> list[list[Path]]:
    """Neighbours together up to so many bytes."""
    parts: list[list[Path]] = []
    total = 0
    for shard in shards:
        size = shard.stat().st_size
        if not parts or total + size > max_bytes:
            parts.append([])
            total = 0
        parts[-1].append(shard)
        total += size
    return parts


def _merged(shards: Sequence[Path], folder: Path) -> int:
    """One shard of several, named for the first and the last step in it. The number of rows."""
    first, last = shards[0].stem.split("-")[1], shards[-1].stem.split("-")[-1]
    name = f"step-{first}-{last}.parquet" if len(shards) > 1 else shards[0].name
    made_of = {shard.name: hashlib.sha256(shard.read_bytes()).hexdigest() for shard in shards}
    schema = _schema_of(shards)
    waiting: list[pa.Table] = []
    num_rows = 0
    with pq.ParquetWriter(folder / name, schema, compression="zstd") as writer:
        writer.add_key_value_metadata({MADE_OF.decode(): json.dumps(made_of)})
        for shard in shards:
            waiting.append(_in_schema(pq.ParquetFile(shard).read(), schema))
            num_rows += waiting[-1].num_rows
            if sum(table.num_rows for table in waiting) >= ROW_GROUP or shard == shards[-1]:
                writer.write_table(pa.concat_tables(waiting), row_group_size=2 * ROW_GROUP)
                waiting = []
    with (folder / name).open("rb") as file:
        os.fsync(file.fileno())
    return num_rows


def _schema_of(shards: Sequence[Path]) -> pa.Schema:
    """That of today, with the columns that some of these have beyond it."""
    extra = {field.name: field for shard in shards for field in pq.read_schema(shard)}
    more = [field for name, field in extra.items() if name not in SCHEMA.names]
    return pa.schema([*SCHEMA, *more], metadata=SCHEMA.metadata)


def _in_schema(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Every column of ``schema``; those that the table lacks are none."""
    columns = [
        table[field.name].cast(field.type)
        if field.name in table.column_names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _sync(folder: Path) -> None:
    """The names in a folder reach the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
