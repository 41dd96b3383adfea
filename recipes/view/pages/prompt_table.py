"""The table of prompts: what a filter leaves, a page at a time, out of counts and never out of the log."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recipes.report.attempt import ShownText
from recipes.view.opened import Snapshot
from recipes.view.place import Place
from recipes.view.prompt_filter import PAGE_SIZE, PromptFilter, RowKey
from recipes.view.set_history import judged_otherwise
from sampler.store.decisions.curation import Curation

MAX_CHOICES = 200
CHOICES = ("run", "split", "source")
DECIDED_CHOICES = {"type": "question_type", "verifier": "verifier", "tag": "unnest(tags)"}
# A prompt's history: the share of right answers of every policy that tried it.
_HISTORY = """
    SELECT run, prompt_id, policy_version, sum(num_right) / sum(n) AS rate, sum(n)::BIGINT AS n
    FROM attempts_in_force WHERE n > 0 AND list_contains(?, prompt_id) GROUP BY ALL ORDER BY policy_version
"""

Rates = tuple[tuple[int, float, int], ...]  # policy version, pass rate, samples


@dataclass(frozen=True)
class TableRow:
    """One prompt of a split. ``row`` has the columns of ``Snapshot.rows_table``: it is as people left it."""

    row: Mapping[str, Any]
    question: ShownText
    history: Rates
    curation: Curation | None

    @property
    def decision(self) -> str:
        """In a word."""
        return self.curation.decision if self.curation else ""


@dataclass(frozen=True)
class TablePage:
    """``rows`` of the ``num`` that pass the filter, and which page of how many they are."""

    num: int
    page: int
    num_pages: int
    rows: Sequence[TableRow]

    @property
    def last(self) -> RowKey | None:
        """After which row the next page begins."""
        return row_key(self.rows[-1].row) if self.rows else None


def row_key(row: Mapping[str, Any]) -> RowKey:
    """What tells a row of ``Snapshot.rows_table`` from every other."""
    return row["run"], row["split"], row["prompt_id"]


def found(snapshot: Snapshot, wanted: PromptFilter) -> TablePage:
    """How many prompts pass, and those of the page: by its number, or those after a row."""
    table = snapshot.rows_table(wanted.policy)
    condition, parameters = wanted.where(snapshot)
    counting = f"SELECT count(*) AS num FROM {table} WHERE {condition}"
    num = snapshot.query(counting, parameters)[0]["num"]
    skipped = (wanted.page - 1) * PAGE_SIZE
    if wanted.after is not None:
        before = f"{counting} AND {wanted.beside('<=', table)}"
        skipped = snapshot.query(before, [*parameters, *wanted.after])[0]["num"]
    rows = page_rows(snapshot, wanted, PAGE_SIZE, skipped)
    histories = histories_of(snapshot, [row["prompt_id"] for row in rows])
    num_before, num_left = -(-skipped // PAGE_SIZE), -(-max(num - skipped, 0) // PAGE_SIZE)
    return TablePage(
        num, num_before + 1, max(num_before + num_left, 1), [_row(snapshot, row, histories) for row in rows]
    )


def neighbours(snapshot: Snapshot, wanted: PromptFilter, key: RowKey) -> tuple[RowKey | None, RowKey | None]:
    """The rows that pass the filter before and after one, which itself need not pass it any more."""
    table = snapshot.rows_table(wanted.policy)
    condition, parameters = wanted.where(snapshot)

    def nearest(beside: str, order: str) -> RowKey | None:
        sql = f"SELECT run, split, prompt_id FROM {table} WHERE {condition} AND {beside} ORDER BY {order} LIMIT 1"
        rows = snapshot.query(sql, [*parameters, *key])
        return row_key(rows[0]) if rows else None

    before = nearest(wanted.beside("<", table), wanted.backward)
    return before, nearest(wanted.beside(">", table), wanted.order)


def page_rows(snapshot: Snapshot, wanted: PromptFilter, num: int, skipped: int) -> list[dict[str, Any]]:
    """``num`` rows of ``Snapshot.rows_table`` in the filter's order."""
    table = snapshot.rows_table(wanted.policy)
    condition, parameters = wanted.where(snapshot)
    # Sorted by the few columns that it takes; then the rows of the page alone are read whole.
    place = f"ORDER BY {wanted.order} LIMIT {int(num)} OFFSET {int(skipped)}"
    chosen = f"SELECT place FROM {table} WHERE {condition} {place}"
    return snapshot.query(
        f"SELECT * FROM {table} WHERE place IN ({chosen}) ORDER BY {wanted.order}", parameters
    )


def choices(snapshot: Snapshot, policy: int | None) -> dict[str, list[tuple[str, int]]]:
    """By filter what there is to choose of, with how many prompts have it; tags too."""
    of_table = {name: snapshot.rows_table(None) for name in CHOICES} | {
        "standing": snapshot.rows_table(policy)
    }
    counts = {
        name: f"(SELECT {name} AS name, count(*) AS num FROM {table} GROUP BY ALL)"
        for name, table in of_table.items()
    }
    as_left = {name: snapshot.counts_table(name, column) for name, column in DECIDED_CHOICES.items()}
    return {name: _most(snapshot, table, as_left=False) for name, table in counts.items()} | {
        name: _most(snapshot, table, as_left=True) for name, table in as_left.items()
    }


def histories_of(snapshot: Snapshot, prompt_ids: Sequence[str]) -> dict[tuple[str, str], Rates]:
    """By run and prompt."""
    histories: dict[tuple[str, str], list[tuple[int, float, int]]] = defaultdict(list)
    for row in snapshot.query(_HISTORY, [list(prompt_ids)]) if prompt_ids else ():
        histories[row["run"], row["prompt_id"]].append((row["policy_version"], row["rate"], row["n"]))
    return {key: tuple(rates) for key, rates in histories.items()}


def log_of(snapshot: Snapshot, place: Place, prompt_id: str) -> Place:
    """Where the prompt's answers lie: its own place, or for a set the last run opened beside it that tried it."""
    if place.part.rollout_files:
        return place
    sql = "SELECT DISTINCT run FROM attempts WHERE prompt_id = ?"
    tried = {row["run"] for row in snapshot.query(sql, [prompt_id])}
    beside = [
        one
        for name, one in snapshot.places.items()
        if name in tried and prompt_id not in judged_otherwise(snapshot.store, place.name, name)
    ]
    return beside[-1] if beside else place


def _row(snapshot: Snapshot, row: Mapping[str, Any], histories: Mapping[tuple[str, str], Rates]) -> TableRow:
    curation = snapshot.curation_of(row["run"], row["prompt_id"])
    question = ShownText.of(row["question"], limit=300)
    log = log_of(snapshot, snapshot.places[row["run"]], row["prompt_id"]).name if histories else row["run"]
    history = histories.get((log, row["prompt_id"]), ())
    return TableRow(row, question, history, curation)


def _most(snapshot: Snapshot, counts: str, *, as_left: bool) -> list[tuple[str, int]]:
    """Those that stand most often in a table of name and num."""
    sql = f"SELECT name, num FROM {counts} WHERE name <> '' ORDER BY num DESC, name LIMIT {MAX_CHOICES}"
    return sorted(snapshot.counted(sql, as_left=as_left))
