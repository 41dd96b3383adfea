"""The table kept ready: its rows; and that it is made anew when what it is made of changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sampler.store.belief import believed
from sampler.store.decisions.event_log import EventLog
from sampler.store.prompt_store import PromptStore, StorePart
from sampler.store.prompt_table import PromptTable

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
    rows = {row["prompt_id"]: row for row in table.tried("*").to_pylist()}
    with PromptStore([run]) as store:
        beliefs = {row["prompt_id"]: row for row in believed(store, "run").to_pylist()}
    assert set(rows) == set("abcx") and table.splits() == {"train": 5}
    for name in "abcx":
        for column in ("n", "mean", "low", "high", "standing", "num_right", "policy_version"):
            assert rows[name][column] == beliefs[name][column]
    assert rows["c"]["moves"] == ["first", "newly solved"]
    assert (rows["x"]["split"], rows["x"]["question_type"]) == (None, "sum")
    assert table.tried("prompt_id", "ORDER BY 1", split="train")["prompt_id"].to_pylist() == ["a", "b", "c"]
    assert table.moves == [
        {"policy_version": 2, "tried_before": 1, "newly_solved": 1, "forgotten": 0, "repaired": 0},
        {"policy_version": 3, "tried_before": 1, "newly_solved": 0, "forgotten": 0, "repaired": 0},
    ]


def test_what_people_decided_is_laid_over_it(run: StorePart, tmp_path: Path) -> None:
    """Without making it anew, but for a correction, which changes what counts."""
    log = EventLog(tmp_path / "curation.jsonl")
    part = run.with_events(log)
    assert run.summary_file is not None
    kept = run.summary_file.with_name("prompts.parquet")

    def known() -> dict[str, tuple[str, str]]:
        with PromptStore([part]) as store:
            rows = PromptTable(store, "run").tried("*").to_pylist()
        return {row["prompt_id"]: (row["question_type"], ",".join(row["tags"] or ())) for row in rows}

    before = known()
    assert before["c"] == ("where", "where,all")
    made = kept.stat().st_mtime_ns
    log.append("b", "reject", author="me")
    log.append("c", "tag", "hard", author="me")
    log.append("c", "untag", "where", author="me")
    assert known() == before | {"c": ("all", "all,hard")} and kept.stat().st_mtime_ns == made
    log.append("c", "correct", "7", author="me")
    assert set(known()) == set("abx"), "no verdict on the new reference yet"
    assert kept.stat().st_mtime_ns != made


def test_it_is_made_anew_when_log_or_sets_changed(run: StorePart, part: Callable[..., StorePart]) -> None:
    assert run.summary_file is not None
    kept = run.summary_file.with_name("prompts.parquet")

    def num_samples(of: StorePart) -> int:
        with PromptStore([of]) as store:
            return int(PromptTable(store, "run").tried("sum(n)").column(0)[0].as_py())

    assert num_samples(run) == 35
    made = kept.stat().st_mtime_ns
    assert num_samples(run) == 35 and kept.stat().st_mtime_ns == made
    other = part("other", [("a", 4, [0.0] * 5)])
    assert num_samples(replace(run, rollout_files=[*run.rollout_files, *other.rollout_files])) == 40
    assert num_samples(replace(run, prompt_sets={})) == 35
    with PromptStore([replace(run, prompt_sets={})]) as store:
        assert set(PromptTable(store, "run").tried("*")["prompt_id"].to_pylist()) == set("abcx")
    kept.write_bytes(b"damaged")
    assert num_samples(run) == 35
