"""Of a corrected prompt only verdicts of the revision in force count; answers without the picture stand apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sampler.prompt import Prompt, revision_of
from sampler.store.belief import believed
from sampler.store.decisions.event_log import EventLog
from sampler.store.prompt_store import PromptStore, StorePart

AS_SET = revision_of("math", {}, "1")  # of prompt `a`
CORRECTED = revision_of("math", {}, "7")
LogRow = tuple[str | None, list[float]]  # a revision, and rewards


def rows_of(attempts: Sequence[LogRow], version: int = 1, **more: Any) -> list[dict[str, Any]]:
    return [
        {
            "rollout_id": f"{version} {revision} {index}", "stage": f"{version:02d}-rl", "policy_version": version,
            "prompt_id": "a", "kind": "verifiable", "tags": ["sum"], "verifier": "math", "reward": reward,
            "index": index, "revision": revision, **more,
        }
        for revision, rewards in attempts for index, reward in enumerate(rewards)
    ]  # fmt: skip


@pytest.fixture
def opened(part: Callable[..., StorePart], tmp_path: Path) -> Callable[..., PromptStore]:
    made = part("run", [])

    def make(rows: list[dict[str, Any]], rejudged: list[dict[str, Any]] | None = None) -> PromptStore:
        log, later = tmp_path / "log.parquet", tmp_path / "later.parquet"
        pq.write_table(pa.Table.from_pylist(rows), log)
        if rejudged:
            pq.write_table(pa.Table.from_pylist(rejudged), later)
        files = [later] if rejudged else []
        return PromptStore(
            [replace(made, rollout_files=[log], rejudged_files=files).with_events(events(tmp_path))]
        )

    return make


def events(tmp_path: Path) -> EventLog:
    return EventLog(tmp_path / "curation.jsonl")


def test_a_revision_is_of_what_judges() -> None:
    prompt = Prompt("a", (), verifier="math", reference="1")
    assert prompt.revision == AS_SET != CORRECTED
    assert replace(prompt, tags=("x",), source="y").revision == AS_SET
    assert revision_of("math", {"a": 1, "b": 2}, {"x": 1, "y": 2}) == revision_of(
        "math", {"b": 2, "a": 1}, {"y": 2, "x": 1}
    )
    assert len({AS_SET, revision_of("text_match", {}, "1"), revision_of("math", {"a": 1}, "1")}) == 3


def test_attempts_tell_revisions_apart(opened: Callable[..., PromptStore]) -> None:
    with opened(rows_of([(AS_SET, [0.0, 0.0]), (CORRECTED, [1.0])])) as store:
        found = store.query("SELECT revision, n, num_right FROM attempts ORDER BY n").to_pylist()
    assert [tuple(row.values()) for row in found] == [(CORRECTED, 1, 1.0), (AS_SET, 2, 0.0)]


@pytest.mark.parametrize("logged", [AS_SET, None])
def test_a_correction_counts_only_its_own_verdicts(
    opened: Callable[..., PromptStore], tmp_path: Path, logged: str | None
) -> None:
    """Before it is judged again nothing is known; undone, all is as it was."""
    rows = rows_of([(logged, [0.0] * 6)])
    event = events(tmp_path).append("a", "correct", "7", author="me")
    with opened(rows) as store:
        assert believed(store, "run").num_rows == 0
    later = [row | {"revision": CORRECTED, "reward": 1.0, "judging": 1} for row in rows]
    with opened(rows, later) as store:
        (belief,) = believed(store, "run").to_pylist()
        assert (belief["n"], belief["num_right"]) == (6, 6.0)
    events(tmp_path).append("a", "undo", event.event_id, author="me")
    with opened(rows, later) as store:
        (belief,) = believed(store, "run").to_pylist()
        assert (belief["n"], belief["num_right"]) == (6, 0.0)


def test_a_move_is_between_verdicts_of_one_revision(
    opened: Callable[..., PromptStore], tmp_path: Path
) -> None:
    rows = [*rows_of([(AS_SET, [0.0])], 1), *rows_of([(AS_SET, [0.0])], 2)]
    later = [
        row | {"revision": CORRECTED, "judging": 1, "reward": float(row["policy_version"] == 1)}
        for row in rows
    ]
    events(tmp_path).append("a", "correct", "7", author="me")
    with opened(rows, later) as store:
        moves = store.query("SELECT policy_version, move FROM turnover ORDER BY 1").to_pylist()
    assert [tuple(row.values()) for row in moves] == [(1, "first"), (2, "forgotten")]


def test_of_one_revision_the_newest_judging_counts(opened: Callable[..., PromptStore]) -> None:
    rows = rows_of([(AS_SET, [0.0, 0.0, 1.0])])
    later = [
        row | {"reward": reward, "judging": judging}
        for judging, reward in ((1, 0.0), (2, 1.0))
        for row in rows
    ]
    with opened(rows, later) as store:
        found = store.query("SELECT n, num_right FROM attempts").to_pylist()
        assert store.query("SELECT count(*) AS num FROM rollouts").to_pylist() == [{"num": 3}]
        assert store.query("SELECT count(*) AS num FROM rejudged").to_pylist() == [{"num": 6}]
    assert found == [{"n": 3, "num_right": 3.0}]


def test_answers_without_the_picture_are_no_attempts(opened: Callable[..., PromptStore]) -> None:
    with opened(
        [*rows_of([(AS_SET, [0.0])], blind=False), *rows_of([(AS_SET, [1.0, 1.0])], blind=True)]
    ) as store:
        assert store.query("SELECT n, num_right FROM attempts").to_pylist() == [{"n": 1, "num_right": 0.0}]
        assert store.query("SELECT n, num_right FROM blind_attempts").to_pylist() == [
            {"n": 2, "num_right": 2.0}
        ]
        assert believed(store, "run").to_pylist()[0]["n"] == 1


def test_decisions_as_tables(opened: Callable[..., PromptStore], tmp_path: Path) -> None:
    log = events(tmp_path)
    log.append("b", "reject", author="me", reason="'; DROP TABLE x; --")
    log.append(
        "a", "undo", log.append("a", "correct", ["7"], author="me", previous="1").event_id, author="you"
    )
    with opened(rows_of([(AS_SET, [0.0])])) as store:
        curation = store.query(
            "SELECT prompt_id, accepted, correction, reference, revision FROM curation ORDER BY 1"
        )
        decided = store.query(
            "SELECT author, action, value, previous, reason, in_force FROM events"
        ).to_pylist()
    assert [tuple(row.values()) for row in curation.to_pylist()] == [
        ("a", None, 0, None, AS_SET),
        ("b", False, 0, None, None),
    ]
    assert [tuple(row.values()) for row in decided][:2] == [
        ("me", "reject", None, None, "'; DROP TABLE x; --", True),
        ("me", "correct", '["7"]', "1", "", False),
    ]


def test_a_prompt_set_alone(part: Callable[..., StorePart], tmp_path: Path) -> None:
    made = replace(part("run", []), rollout_files=()).with_events(events(tmp_path))
    events(tmp_path).append("a", "correct", "7", author="me")
    with PromptStore([made], may_lack_rollouts=True) as store:
        assert store.query("SELECT count(*) AS num FROM prompts").to_pylist() == [{"num": 5}]
        assert store.query("SELECT reference, revision FROM curation").to_pylist() == [
            {"reference": "7", "revision": CORRECTED}
        ]
        assert store.query("SELECT * FROM attempts").num_rows == 0
