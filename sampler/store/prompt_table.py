"""One row a prompt with all that a run knows of it, kept beside the log: statistics and pages are asked of this table
and never of the log."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from sampler.atomic_file import written_whole
from sampler.store.belief import HALF_LIFE, believed
from sampler.store.prompt_store import PromptStore, StorePart
from sampler.store.sql_text import literal
from verifiers.errors import BadInput, near_name

VERSION = 2  # of the table's columns
KEY, MOVES = b"hone.key", b"hone.moves"
NOT_TRIED = "not tried"
MAX_QUESTION_CHARS = 400
ROW_GROUP = 50_000
MAX_HISTORY = 32  # newest policies

_TABLE = f"""
    WITH asked AS (
        SELECT prompt_id, split, kind, verifier, reference, source, tags, num_pictures, num_films,
               coalesce(tags[1], kind) AS question_type, left(question, {MAX_QUESTION_CHARS}) AS question
        FROM prompts WHERE run = $run
    ), by_policy AS (
        SELECT prompt_id, policy_version, sum(num_right) / nullif(sum(n), 0) AS pass_rate
        FROM attempts_in_force WHERE run = $run GROUP BY prompt_id, policy_version
    ), history AS (
        SELECT prompt_id, list_transform(newest, lambda one: one.policy_version) AS versions,
               list_transform(newest, lambda one: one.pass_rate) AS pass_rates
        FROM (
            SELECT prompt_id, list_sort(list(struct_pack(policy_version, pass_rate)))[-{MAX_HISTORY}:] AS newest
            FROM by_policy WHERE pass_rate IS NOT NULL GROUP BY prompt_id
        )
    ), moves AS (
        SELECT prompt_id, max_by(move, policy_version) AS last_move, list_sort(list_distinct(list(move))) AS moves
        FROM moved GROUP BY prompt_id
    ), tried AS (
        SELECT prompt_id, question_type AS tried_as, n, num_right, num_wrong, spread, mean, low, high, standing,
               policy_version
        FROM beliefs
    )
    SELECT * EXCLUDE (tried_as, standing, n, question_type), coalesce(question_type, tried_as) AS question_type,
           coalesce(n, 0) AS n, coalesce(standing, '{NOT_TRIED}') AS standing
    FROM asked FULL JOIN tried USING (prompt_id) LEFT JOIN history USING (prompt_id) LEFT JOIN moves USING (prompt_id)
    ORDER BY prompt_id, split
"""
# What people decided is laid over the table, so that a decision does not make it stale.
_CURATED = """
    SELECT known.* REPLACE (
        coalesce(people.reference, known.reference) AS reference, coalesce(people.verifier, known.verifier) AS verifier,
        CASE WHEN people.prompt_id IS NULL THEN tags ELSE left_tags END AS tags,
        CASE WHEN people.prompt_id IS NULL THEN question_type ELSE coalesce(left_tags[1], kind, question_type) END
            AS question_type
    ), accepted, coalesce(people.reference IS NOT NULL, false) AS corrected
    FROM {table} AS known LEFT JOIN (SELECT * FROM curation WHERE run = {run}) AS people USING (prompt_id),
    LATERAL (SELECT CASE WHEN people.prompt_id IS NOT NULL THEN list_concat(
        list_filter(coalesce(tags, []), lambda tag: NOT list_contains(coalesce(tags_removed, []), tag)),
        coalesce(tags_added, [])) END AS left_tags)
"""
_MOVES = """
    SELECT policy_version, count(*) AS tried_before, count(*) FILTER (move = 'newly solved') AS newly_solved,
           count(*) FILTER (move = 'forgotten') AS forgotten, count(*) FILTER (move = 'repaired') AS repaired
    FROM moved WHERE move <> 'first' GROUP BY policy_version ORDER BY policy_version
"""
_TEXTS = (
    "prompt_id",
    "split",
    "question_type",
    "reference",
    "verifier",
    "source",
    "standing",
    "last_move",
    "question",
)
_DECIDED = {
    "accepted": "accepted IS TRUE",
    "rejected": "accepted IS FALSE",
    "corrected": "corrected",
    "undecided": "(accepted IS NULL AND NOT corrected)",
}
SORTS = ("prompt_id", "question_type", "mean", "low", "high", "n", "spread", "policy_version", "num_pictures")


@dataclass(frozen=True)
class PageFilter:
    """Every condition must hold; an empty one holds of all. ``search`` is looked for in question, reference and id, in
    any case; of ``tags`` and ``moves`` one must be there; ``pass_rate`` bounds the expected pass rate, of which a
    prompt that was not tried has none."""

    search: str = ""
    splits: Sequence[str] = ()
    question_types: Sequence[str] = ()
    tags: Sequence[str] = ()
    verifiers: Sequence[str] = ()
    sources: Sequence[str] = ()
    standings: Sequence[str] = ()
    moves: Sequence[str] = ()
    pass_rate: tuple[float, float] | None = None
    min_samples: int = 0
    prompt_ids: Sequence[str] = ()
    decisions: Sequence[Literal["accepted", "rejected", "corrected", "undecided"]] = ()

    def sql(self) -> tuple[str, list[Any]]:
        """A condition and its parameters."""
        parts, values = ["n >= ?"], list[Any]([self.min_samples])
        if self.search:
            parts.append(
                "(contains(lower(question), ?) OR contains(lower(reference), ?) OR starts_with(prompt_id, ?))"
            )
            values += [self.search.lower(), self.search.lower(), self.search]
        for column, wanted in (
            ("split", self.splits), ("question_type", self.question_types), ("verifier", self.verifiers),
            ("source", self.sources), ("standing", self.standings), ("prompt_id", self.prompt_ids),
        ):  # fmt: skip
            if wanted:
                parts.append(f"list_contains(?, {column})")
                values.append(list(wanted))
        for column, wanted in (("tags", self.tags), ("moves", self.moves)):
            if wanted:
                parts.append(f"list_has_any({column}, ?)")
                values.append(list(wanted))
        if self.pass_rate is not None:
            parts.append("mean BETWEEN ? AND ?")
            values += self.pass_rate
        if self.decisions:
            parts.append(f"({' OR '.join(_DECIDED[decision] for decision in self.decisions)})")
        return " AND ".join(parts), values


@dataclass(frozen=True)
class Page:
    """Some rows, of ``total`` that meet the filter."""

    rows: list[dict[str, Any]]
    total: int


class PromptTable:
    """The table of one run of a store: prompt_id, split (none of a prompt that is in no set), question, reference,
    verifier, kind, tags, question_type, source, num_pictures, num_films; n samples, mean (the expected pass rate), low,
    high, standing, spread and the newest policy_version that tried it; last_move and moves; versions and pass_rates of
    the newest policies, in order; and as people decided, accepted and corrected, with the tags, the reference and the
    verifier that they left.

    It is made at the first use, kept in a file of the run where that may be written, and made anew when the log or the
    prompt sets have changed. ``moves`` are counts by policy version.
    """

    def __init__(self, store: PromptStore, run: str, *, half_life: float = HALF_LIFE) -> None:
        self._store, self.run = store, run
        self._table, metadata = _kept_or_made(store, run, half_life)
        self.moves: list[dict[str, int]] = json.loads(metadata[MOVES])
        if store.query("SELECT 1 FROM curation WHERE run = ? LIMIT 1", [run]).num_rows:
            self._table = f"({_CURATED.format(table=self._table, run=literal(run))})"
        else:
            self._table = f"(SELECT *, NULL::BOOLEAN AS accepted, false AS corrected FROM {self._table})"

    def query(self, select: str, filtered: PageFilter = PageFilter(), rest: str = "") -> pa.Table:
        """`SELECT {select} FROM the table WHERE {filtered} {rest}`."""
        where, values = filtered.sql()
        return self._store.query(f"SELECT {select} FROM {self._table} WHERE {where} {rest}", values)

    def page(
        self,
        filtered: PageFilter = PageFilter(),
        *,
        sort: str = "prompt_id",
        descending: bool = False,
        limit: int = 50,
        offset: int = 0,
    ) -> Page:
        """Rows ``offset`` to ``offset + limit`` of those that meet the filter, sorted by a column of ``SORTS``; those
        without a value last. Raises: BadInput for another column."""
        if sort not in SORTS:
            raise BadInput(
                f"prompts are not sorted by {sort!r}{near_name(sort, SORTS)} (known: {', '.join(SORTS)})"
            )
        total = int(self.query("count(*)", filtered).column(0)[0].as_py())
        order = f"ORDER BY {sort} {'DESC' if descending else 'ASC'} NULLS LAST, prompt_id, split"
        # Sorted by the few columns that it takes; then the rows of the page alone are read whole.
        found = self.query("file_row_number", filtered, f"{order} LIMIT {int(limit)} OFFSET {int(offset)}")
        numbers = found.column(0).to_pylist()
        rows = (
            self._store.query(
                f"SELECT * FROM {self._table} WHERE list_contains(?, file_row_number)", [numbers]
            ).to_pylist()
            if numbers
            else []
        )
        place = {number: at for at, number in enumerate(numbers)}
        rows.sort(key=lambda row: place[row["file_row_number"]])
        return Page(
            [{name: value for name, value in row.items() if name != "file_row_number"} for row in rows], total
        )

    def counts(self, column: str, filtered: PageFilter = PageFilter()) -> dict[str, int]:
        """How many prompts have each value of question_type, split, standing, verifier, source or a tag (``tags``)."""
        value = "unnest(tags)" if column == "tags" else column
        assert column in (*_TEXTS, "tags"), column
        where, values = filtered.sql()
        sql = f"SELECT {value} AS value FROM {self._table} WHERE {where}"
        rows = self._store.query(
            f"SELECT value, count(*) AS num FROM ({sql}) WHERE value IS NOT NULL GROUP BY value ORDER BY value",
            values,
        )
        return dict(zip(rows["value"].to_pylist(), rows["num"].to_pylist(), strict=True))


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
    numbers = pa.array(range(table.num_rows), pa.int64())
    store.keep(name, "SELECT * FROM made", {}, made=table.append_column("file_row_number", numbers))
    return name, table.schema.metadata


def _read(file: Path) -> str:
    return f"read_parquet({literal(str(file))}, file_row_number = true)"


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
