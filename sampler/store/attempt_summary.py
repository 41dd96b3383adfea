"""Counts of every rollout shard, kept beside the log, so that history is asked of counts and not of answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from sampler.atomic_file import written_whole
from sampler.store.log_schema import require_readable
from sampler.store.sql_text import literal, table_of, table_without_rows

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SCHEMA = pa.schema(
    [("shard", pa.string()), ("stage", pa.string()), ("policy_version", pa.int64()), ("prompt_id", pa.string()),
     ("verifier", pa.string()), ("revision", pa.string()), ("judging", pa.int64()), ("blind", pa.bool_()),
     ("question_type", pa.string()), ("num", pa.int64()), ("n", pa.int64()), ("num_right", pa.float64()),
     ("num_rewards", pa.int64()), ("reward_sum", pa.float64()), ("reward_max", pa.float64())]
)  # fmt: skip
SHARDS = b"hone.shards"  # in the file's metadata: which it counts, as JSON
ROW_GROUP = 100_000
# One row for each prompt, policy, judge and revision of a shard, where `rollouts` are those of the shards that are new.
# What a shard is called is looked up for the counts, of which there are fewer than rollouts.
_SUMMARY = """
    SELECT shard, counts.* EXCLUDE (filename) FROM (
        SELECT filename, stage, policy_version, prompt_id, verifier, revision, judging, blind,
            any_value(question_type) AS question_type, count(*) AS num, count(worth) AS n,
            sum(worth) AS num_right, count(reward) AS num_rewards, sum(reward) AS reward_sum, max(reward) AS reward_max
        FROM ({rollouts})
        GROUP BY filename, stage, policy_version, prompt_id, verifier, revision, judging, blind
    ) AS counts JOIN shards USING (filename)
"""


def counted(
    database: DuckDBPyConnection,
    shards: Mapping[str, Path],
    rollouts: Callable[[Sequence[Path]], str],
    file: Path | None,
    *,
    name: str,
) -> str:
    """SQL that selects the counts of ``shards`` (by what tells a shard from another, and from itself once it was
    written anew), with the columns of ``SCHEMA``.

    ``rollouts`` makes the SQL that selects those of some shards, with a column ``filename``. What ``file`` holds is not
    counted again, and read only as far as a query asks; it is brought up to date where it may be written, whole or not
    at all. A damaged file is made anew. Where nothing may be kept, the counts lie in the database as ``name``.

    Raises: BadInput for a shard that a newer Hone wrote.
    """
    if not shards:
        database.register(name, table_without_rows(SCHEMA))
        return f"SELECT * FROM {name}"
    held = _shards_in(file)
    new = {shard: path for shard, path in shards.items() if shard not in held}
    if new or file is None:
        require_readable(list(new.values()))
        table = _joined(database, new, rollouts, _counts_in(file, held & set(shards)))
        if file is None or not _kept(table, shards, file):
            database.register(name, table)
            return f"SELECT * FROM {name}"
        held = set(shards)
    sql = f"SELECT * FROM {table_of([file])}"
    if held == set(shards):
        return sql
    return f"{sql} WHERE list_contains([{', '.join(map(literal, sorted(shards)))}], shard)"


def _joined(
    database: DuckDBPyConnection,
    new: Mapping[str, Path],
    rollouts: Callable[[Sequence[Path]], str],
    known: pa.Table,
) -> pa.Table:
    if not new:
        return known
    names = pa.table({"shard": list(new), "filename": [str(path) for path in new.values()]})
    database.register("shards", names)
    found = database.sql(_SUMMARY.format(rollouts=rollouts(list(new.values())))).to_arrow_table()
    database.unregister("shards")
    return pa.concat_tables([known, found.select(SCHEMA.names).cast(SCHEMA)])


def _kept(table: pa.Table, shards: Mapping[str, Path], file: Path) -> bool:
    """In the order of prompts, so that one prompt's rows are found without reading them all."""
    ordered = table.sort_by("prompt_id").replace_schema_metadata({SHARDS: json.dumps(sorted(shards))})
    with suppress(OSError):
        with written_whole(file) as temporary:
            pq.write_table(ordered, temporary, compression="zstd", row_group_size=ROW_GROUP)
        return True
    return False


def _shards_in(file: Path | None) -> set[str]:
    """What the file says that it counts; nothing where it is none, damaged or of another form."""
    with suppress(OSError, pa.ArrowInvalid, ValueError):
        if file is not None and (schema := pq.read_schema(file)).equals(SCHEMA):
            return set(json.loads((schema.metadata or {}).get(SHARDS, b"[]")))
    return set()


def _counts_in(file: Path | None, shards: set[str]) -> pa.Table:
    if file is None or not shards:
        return table_without_rows(SCHEMA)
    table = pq.read_table(file).replace_schema_metadata()
    return table.filter(pa.compute.is_in(table["shard"], pa.array(sorted(shards), pa.string())))
