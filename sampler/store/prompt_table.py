"""One row a prompt with all that a run knows of it, kept beside the log: statistics and the viewer's pages are
asked of this table and never of the log."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sampler.atomic_file import written_whole
from sampler.store.belief import HALF_LIFE, believed
from sampler.store.decisions.left_prompts import left_prompts
from sampler.store.prompt_store import PromptStore, StorePart
from sampler.store.sql_text import literal

VERSION = 4  # of the table's columns
KEY, MOVES = b"hone.key", b"hone.moves"
NOT_TRIED = "not tried"
ROW_GROUP = 50_000

_TABLE = f"""
    WITH asked AS (
        SELECT prompt_id, split, kind, verifier, source, tags, coalesce(tags[1], kind) AS question_type
        FROM prompts WHERE run = $run
    ), moves AS (
        SELECT prompt_id, list_sort(list_distinct(list(move))) AS moves FROM moved GROUP BY prompt_id
    ), tried AS (
        SELECT prompt_id, question_type AS tried_as, n, num_right, num_wrong, spread, mean, low, high, standing,
               policy_version
        FROM beliefs
    )
    SELECT * EXCLUDE (tried_as, standing, n, question_type), coalesce(question_type, tried_as) AS question_type,
           coalesce(n, 0) AS n, coalesce(standing, '{NOT_TRIED}') AS standing
    FROM asked FULL JOIN tried USING (prompt_id) LEFT JOIN moves USING (prompt_id)
    ORDER BY prompt_id, split
"""
_MOVES = """
    SELECT policy_version, count(*) AS tried_before, count(*) FILTER (move = 'newly solved') AS newly_solved,
           count(*) FILTER (move = 'forgotten') AS forgotten, count(*) FILTER (move = 'repaired') AS repaired
    FROM moved WHERE move <> 'first' GROUP BY policy_version ORDER BY policy_version
"""


class PromptTable:
    """The table of one run of a store: prompt_id, split (none of a prompt that is in no set), kind, verifier, tags,
    question_type and source, as people left them; n samples, num_right and num_wrong (weighed), mean (the expected pass
    rate), low, high, standing, spread, the newest policy_version that tried it, and its moves.

    It is made at the first use, kept in a file of the run where that may be written, and made anew when the log or the
    prompt sets have changed. ``moves`` are counts by policy version.
    """

    def __init__(self, store: PromptStore, run: str, *, half_life: float = HALF_LIFE) -> None:
        self._store, self.run = store, run
        self._table, metadata = _kept_or_made(store, run, half_life)
        self.moves: list[dict[str, int]] = json.loads(metadata[MOVES])
        if store.query("SELECT 1 FROM curation WHERE run = ? LIMIT 1", [run]).num_rows:
            # Laid over the table, so that a decision does not make it stale.
            people = f"(SELECT * FROM curation WHERE run = {literal(run)})"
            columns = ("verifier", "tags", "question_type")
            self._table = f"({left_prompts(self._table, people, 'prompt_id', columns)})"

    def tried(self, select: str, rest: str = "", *, split: str | None = None) -> pa.Table:
        """`SELECT {select} FROM the table {rest}`, of the prompts that were tried: all, or those of a split."""
        where = "n > 0 AND (split = $split OR $split IS NULL)"
        return self._store.query(f"SELECT {select} FROM {self._table} WHERE {where} {rest}", {"split": split})

    def splits(self) -> dict[str, int]:
        """How many prompts each split has."""
        rows = self._store.query(
            f"SELECT split, count(*) AS num FROM {self._table} WHERE split IS NOT NULL GROUP BY split ORDER BY split"
        )
        return dict(zip(rows["split"].to_pylist(), rows["num"].to_pylist(), strict=True))


def _kept_or_made(store: PromptStore, run: str, half_life: float) -> tuple[str, dict[bytes, bytes]]:
    """SQL that names the table, and its metadata. It is kept for the usual half-life alone."""
    part = store.parts[run]
    key = _key(store, part, half_life)
    file = None
    if part.summary_file is not None and half_life == HALF_LIFE:
        file = part.summary_file.with_name("prompts.parquet")
        if _key_of(file) == key:
            return _read(file), pq.read_schema(file).metadata
    table = _made(store, run, half_life, key)
    if file is not None:
        with suppress(OSError):
            with written_whole(file) as temporary:
                pq.write_table(table, temporary, compression="zstd", row_group_size=ROW_GROUP)
            return _read(file), table.schema.metadata
    name = f"prompt_table_{run.encode().hex()}"
    store.keep(name, "SELECT * FROM made", {}, made=table)
    return name, table.schema.metadata


def _read(file: Path) -> str:
    return f"read_parquet({literal(str(file))})"


def _made(store: PromptStore, run: str, half_life: float, key: str) -> pa.Table:
    beliefs = believed(store, run, half_life=half_life)
    store.keep("moved", "SELECT prompt_id, policy_version, move FROM turnover WHERE run = $run", {"run": run})
    store.keep("made", _TABLE, {"run": run}, beliefs=beliefs)
    table = store.query("SELECT * FROM made")
    moves = store.query(_MOVES).to_pylist()
    for name in ("made", "moved"):
        store.drop(name)
    return table.replace_schema_metadata({KEY: key.encode(), MOVES: json.dumps(moves).encode()})


def _key(store: PromptStore, part: StorePart, half_life: float) -> str:
    """Changes with what the table is made of; of what people decided only corrections have a hand in beliefs."""
    corrected = store.query(
        "SELECT prompt_id, revision FROM curation WHERE run = ? AND revision IS NOT NULL ORDER BY prompt_id",
        [part.run],
    )
    sets = [
        [split, place, *((stat.st_size, stat.st_mtime_ns) if (stat := _stat(place)) else ())]
        for split, place in sorted(part.prompt_sets.items())
    ]
    text = json.dumps([VERSION, half_life, sorted(part.shards), sets, corrected.to_pydict()])
    return hashlib.sha256(text.encode()).hexdigest()


def _stat(place: str) -> Any:
    path = Path(place)
    return path.stat() if path.is_file() else None


def _key_of(file: Path) -> str | None:
    with suppress(OSError, pa.ArrowInvalid):
        return (pq.read_schema(file).metadata or {}).get(KEY, b"").decode()
    return None
