"""The table kept ready: its rows, filters and pages; and that it is made anew when what it is made of changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sampler.store.belief import believed
from sampler.store.decisions.curation_events import EventLog
from sampler.store.prompt_store import PromptStore, StorePart
from sampler.store.prompt_table import SORTS, PageFilter, PromptTable
from verifiers.errors import BadInput

ATTEMPTS = [
    ("a", 1, [1.0] * 8),
    ("b", 1, [1.0, 0.0] * 4),
    ("b", 3, [1.0] * 2),
    ("c", 1, [0.0] * 8),
    ("c", 2, [1.0] * 8),
    ("x", 2, [1.0]),  # in no set
]


@pytest.fixture
def run(part: Callable[..., StorePart], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StorePart:
    monkeypatch.setitem(part.__globals__["TYPES"], "x", "sum")
    return part("run", ATTEMPTS, summary_file=tmp_path / "kept" / "attempts.parquet")


@pytest.fixture(params=[True, False], ids=["kept", "not kept"])
def table(run: StorePart, request: pytest.FixtureRequest) -> Iterator[PromptTable]:
    part = run if request.param else replace(run, summary_file=None)
    with PromptStore([part]) as store:
        PromptTable(store, "run")  # the second time it is there, where it may be kept
        yield PromptTable(store, "run")


def test_a_row_is_all_that_is_known_of_a_prompt(table: PromptTable, run: StorePart) -> None:
    rows = {row["prompt_id"]: row for row in table.page().rows}
    with PromptStore([run]) as store:
        beliefs = {row["prompt_id"]: row for row in believed(store, "run").to_pylist()}
    assert set(rows) == set("abcdex")
    for name in "abcx":
        for column in ("n", "mean", "low", "high", "standing", "num_right", "policy_version"):
            assert rows[name][column] == beliefs[name][column]
    assert (rows["b"]["versions"], rows["b"]["pass_rates"]) == ([1, 3], [0.5, 1.0])
    assert (rows["c"]["moves"], rows["c"]["last_move"]) == (["first", "newly solved"], "newly solved")
    assert (rows["d"]["n"], rows["d"]["standing"], rows["d"]["mean"]) == (0, "not tried", None)
    assert (rows["x"]["split"], rows["x"]["question_type"]) == (None, "sum")
    assert rows["e"]["question"] == "What is e?" and rows["e"]["reference"] == "it's 5%"
    assert table.moves == [
        {"policy_version": 2, "tried_before": 1, "newly_solved": 1, "forgotten": 0, "repaired": 0},
        {"policy_version": 3, "tried_before": 1, "newly_solved": 0, "forgotten": 0, "repaired": 0},
    ]


@pytest.mark.parametrize(
    ("filtered", "names"),
    [
        (PageFilter(), "abcdex"),
        (PageFilter(search="IS E"), "e"),
        (PageFilter(search="IT'S"), "e"),
        (PageFilter(search="'; DROP TABLE made; --"), ""),
        (PageFilter(search="x"), "x"),
        (PageFilter(splits=("train",)), "abcde"),
        (PageFilter(question_types=("sum",)), "abx"),
        (PageFilter(tags=("all", "none")), "abcde"),
        (PageFilter(standings=("not tried",)), "de"),
        (PageFilter(moves=("newly solved",)), "c"),
        (PageFilter(pass_rate=(0.9, 1.0)), "a"),
        (PageFilter(min_samples=8), "abc"),
        (PageFilter(prompt_ids=("a", "e", "z")), "ae"),
        (PageFilter(verifiers=("math",), question_types=("where",), min_samples=1), "c"),
    ],
)
def test_filters(table: PromptTable, filtered: PageFilter, names: str) -> None:
    page = table.page(filtered)
    assert sorted(row["prompt_id"] for row in page.rows) == sorted(names) and page.total == len(names)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("sort", SORTS)
def test_pages_are_parts_of_the_sorted_whole(table: PromptTable, sort: str, descending: bool) -> None:
    whole = table.page(sort=sort, descending=descending, limit=100).rows
    values: list[Any] = [row[sort] for row in whole if row[sort] is not None]
    assert values == sorted(values, reverse=descending)
    assert all(row[sort] is None for row in whole[len(values) :])
    pages = [
        table.page(sort=sort, descending=descending, limit=4, offset=offset).rows for offset in (0, 4, 8)
    ]
    assert [len(page) for page in pages] == [4, 2, 0] and sum(pages, []) == whole  # noqa: RUF017


def test_a_column_that_is_none_is_no_sort(table: PromptTable) -> None:
    with pytest.raises(BadInput, match="not sorted by 'meen'; did you mean 'mean'"):
        table.page(sort="meen")


def test_what_people_decided_is_laid_over_it(run: StorePart, tmp_path: Path) -> None:
    """Without making it anew, but for a correction, which changes what counts."""
    log = EventLog(tmp_path / "curation.jsonl")
    part = run.with_events(log)
    assert run.summary_file is not None
    kept = run.summary_file.with_name("prompts.parquet")

    def names(**filtered: Any) -> str:
        with PromptStore([part]) as store:
            rows = PromptTable(store, "run").page(PageFilter(**filtered)).rows
        return "".join(row["prompt_id"] for row in rows)

    assert names(decisions=["undecided"]) == "abcdex"
    made = kept.stat().st_mtime_ns
    log.append("a", "accept", author="me")
    log.append("b", "reject", author="me")
    log.append("c", "tag", "hard", author="me")
    log.append("c", "untag", "where", author="me")
    assert names(decisions=["accepted"]) == "a" and names(decisions=["accepted", "rejected"]) == "ab"
    assert names(tags=["hard"]) == names(question_types=["all"]) == "c" and kept.stat().st_mtime_ns == made
    log.append("c", "correct", "7", author="me")
    assert names(decisions=["corrected"]) == "c" and names(search="7") == "c"
    assert kept.stat().st_mtime_ns != made


def test_counts(table: PromptTable) -> None:
    assert table.counts("question_type") == {"sum": 3, "where": 3}
    assert table.counts("tags", PageFilter(min_samples=1)) == {"all": 3, "sum": 2, "where": 1}
    assert table.counts("split") == {"train": 5}


def test_it_is_made_anew_when_log_or_sets_changed(run: StorePart, part: Callable[..., StorePart]) -> None:
    assert run.summary_file is not None
    kept = run.summary_file.with_name("prompts.parquet")

    def num_samples(of: StorePart) -> int:
        with PromptStore([of]) as store:
            return sum(row["n"] for row in PromptTable(store, "run").page().rows)

    assert num_samples(run) == 35
    made = kept.stat().st_mtime_ns
    assert num_samples(run) == 35 and kept.stat().st_mtime_ns == made
    other = part("other", [("a", 4, [0.0] * 5)])
    assert num_samples(replace(run, rollout_files=[*run.rollout_files, *other.rollout_files])) == 40
    assert num_samples(replace(run, prompt_sets={})) == 35
    with PromptStore([replace(run, prompt_sets={})]) as store:
        assert {row["prompt_id"] for row in PromptTable(store, "run").page().rows} == set("abcx")
    kept.write_bytes(b"damaged")
    assert num_samples(run) == 35
