"""Counts of every rollout shard, kept beside the log, so that history is asked of counts and not of answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from sampler.atomic_file import written_whole
from sampler.store.log_schema import require_readable

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SCHEMA = pa.schema(
    [("shard", pa.string()), ("stage", pa.string()), ("policy_version", pa.int64()), ("prompt_id", pa.string()),
     ("verifier", pa.string()), ("revision", pa.string()), ("judging", pa.int64()), ("blind", pa.bool_()),
     ("question_type", pa.string()), ("num", pa.int64()), ("n", pa.int64()), ("num_right", pa.float64()),
     ("num_rewards", pa.int64()), ("reward_sum", pa.float64()), ("reward_max", pa.float64())]
)  # fmt: skip
ROW_GROUP = 100_000
# One row for each prompt, policy, judge and revision of a shard, where `rollouts` are those of the shards that are new.
_SUMMARY = """
    SELECT shards.shard, stage, policy_version, prompt_id, verifier, revision, judging, blind,
           any_value(question_type) AS question_type, count(*) AS num, count(worth) AS n,
           sum(worth) AS num_right, count(reward) AS num_rewards, sum(reward) AS reward_sum, max(reward) AS reward_max
    FROM ({rollouts}) JOIN shards USING (filename)
    GROUP BY shards.shard, stage, policy_version, prompt_id, verifier, revision, judging, blind
"""


def summarised(
    database: DuckDBPyConnection,
    shards: Mapping[str, Path],
    rollouts: Callable[[Sequence[Path]], str],
    file: Path | None,
) -> pa.Table:
    """The counts of ``shards`` (by what tells a shard from another, and from itself once it was written anew).

    ``rollouts`` makes the SQL that selects those of some shards, with a column ``filename``. What ``file`` holds is not
    counted again; it is brought up to date where it may be written, whole or not at all. A damaged file is made anew.

    Raises: BadInput for a shard that a newer Hone wrote.
    """
    known = _read(file)
    known = known.filter(pa.compute.is_in(known["shard"], pa.array(list(shards), pa.string())))
    new = {
        shard: path for shard, path in shards.items() if shard not in set(known["shard"].unique().to_pylist())
    }
    if not new:
        return known
    require_readable(list(new.values()))
    names = pa.table({"shard": list(new), "filename": [str(path) for path in new.values()]})
    database.register("shards", names)
    counted = database.sql(_SUMMARY.format(rollouts=rollouts(list(new.values())))).to_arrow_table()
    database.unregister("shards")
    table = pa.concat_tables([known, counted.select(SCHEMA.names).cast(SCHEMA)])
    if file is not None:
        with suppress(OSError), written_whole(file) as temporary:
            # In the order of prompts, so that one prompt's rows are found without reading them all.
            pq.write_table(
                table.sort_by("prompt_id"), temporary, compression="zstd", row_group_size=ROW_GROUP
            )
    return table


def _read(file: Path | None) -> pa.Table:
    with suppress(OSError, pa.ArrowInvalid):
        if file is not None and (table := pq.read_table(file)).schema.equals(SCHEMA):
            return table
    return SCHEMA.empty_table()
