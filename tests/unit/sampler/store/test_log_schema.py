"""Logs of every version read as today's, beside each other; a newer one is refused."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sampler.store.log_schema import SCHEMA, VERSION, VERSION_KEY, migrated, require_readable
from sampler.store.prompt_store import PromptStore, StorePart
from sampler.store.sql_text import table_of
from verifiers.errors import BadInput

# As the first logs were, before there were tags, a score or a reward learnt from.
OLDEST = {"rollout_id": "old", "policy_version": 4, "prompt_id": "a", "verifier": "math", "reward": 1.0,
          "num_response_tokens": 9, "somebody's own": "kept"}  # fmt: skip
TODAY = {"rollout_id": "new", "policy_version": 5, "prompt_id": "a", "verifier": "math", "reward": 0.0,
         "num_response_tokens": 3, "advantages": [0.5, 0.5, 0.5],
         "policy_versions": [{"version": 4, "num_tokens": 1}, {"version": 5, "num_tokens": 2}]}  # fmt: skip


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    old, new = tmp_path / "step-00000.parquet", tmp_path / "step-00001.parquet"
    known = [SCHEMA.field(name) for name in OLDEST if name in SCHEMA.names]
    columns = pa.schema([*known, ("somebody's own", pa.string())])
    pq.write_table(pa.Table.from_pylist([OLDEST], schema=columns), old)
    pq.write_table(pa.Table.from_pylist([TODAY], schema=SCHEMA), new)
    return [old, new]


@pytest.mark.parametrize("which", [slice(0, 1), slice(1, 2), slice(0, 2)])
def test_a_log_of_any_version_has_the_columns_of_today(shards: list[Path], which: slice) -> None:
    sql = f"SELECT * FROM ({migrated(table_of(shards[which]))}) ORDER BY rollout_id DESC"
    found = duckdb.sql(sql).to_arrow_table()
    assert set(SCHEMA.names) <= set(found.column_names)
    for row, given in zip(found.to_pylist(), [OLDEST, TODAY][which], strict=True):
        runs = given.get("policy_versions", [{"version": 4, "num_tokens": 9}])  # one policy drew it all
        expected = {**dict.fromkeys(SCHEMA.names), **given, "policy_versions": runs}
        assert {name: row[name] for name in expected} == expected


def test_types_are_those_of_today(shards: list[Path]) -> None:
    types = [
        dict(
            duckdb.sql(
                f"SELECT column_name, column_type FROM (DESCRIBE {migrated(table_of([shard]))})"
            ).fetchall()
        )
        for shard in shards
    ]
    assert {name: types[0][name] for name in SCHEMA.names} == types[1]


def test_a_newer_log_is_refused(shards: list[Path]) -> None:
    require_readable(shards)
    newer = SCHEMA.with_metadata({VERSION_KEY: str(VERSION + 1)})
    pq.write_table(pa.Table.from_pylist([TODAY], schema=newer), shards[1])
    with pytest.raises(BadInput, match=rf"version {VERSION + 1}, and this Hone reads up to {VERSION}"):
        PromptStore([StorePart("run", shards, {})])
