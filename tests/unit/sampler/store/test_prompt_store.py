"""The views against counting by hand; runs beside each other; names and texts that would break a query."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sampler.store.log_schema import SCHEMA
from sampler.store.prompt_store import PromptStore, StorePart
from verifiers.errors import BadInput


def test_attempts(store: Callable[..., PromptStore]) -> None:
    with store([("a", 1, [1.0, 0.0, 0.6, None]), ("a", 2, [0.0, 0.0]), ("c", 1, [None])]) as opened:
        rows = opened.query(
            "SELECT * EXCLUDE (run, stage) FROM attempts ORDER BY prompt_id, policy_version"
        ).to_pylist()
    assert rows[0] == {
        "policy_version": 1, "prompt_id": "a", "verifier": "math", "question_type": "sum", "n": 3, "num_right": 2.0,
        "revision": None, "pass_rate": pytest.approx(2 / 3), "reward_mean": pytest.approx(1.6 / 3),
        "spread": pytest.approx(1.0 - 1.6 / 3), "unjudged": 1,
    }  # fmt: skip
    assert (rows[1]["n"], rows[1]["pass_rate"], rows[1]["spread"]) == (2, 0.0, 0.0)
    assert (rows[2]["n"], rows[2]["pass_rate"], rows[2]["unjudged"]) == (0, None, 1)


def test_wins_and_ties_of_prompts_without_a_verifier(part: Callable[..., StorePart], tmp_path: Path) -> None:
    rewards = [0.9, 0.5, 0.5 + 1e-8, 0.2]
    rows = [
        {"prompt_id": "a", "kind": "general", "policy_version": 0, "reward": reward} for reward in rewards
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "old.parquet")  # an older log: no verifier column
    with PromptStore([StorePart("old", [tmp_path / "old.parquet"], {})]) as opened:
        found = opened.query("SELECT n, num_right, question_type FROM attempts").to_pylist()
        assert opened.query("SELECT * FROM prompts").num_rows == 0
    assert found == [{"n": 4, "num_right": 2.0, "question_type": "general"}]


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("", "the query is empty"),
        ("  -- nothing", "the query is empty"),
        ("SELECT 1; SELECT 2", "one query at a time"),
        ("CREATE TABLE mine AS SELECT 1", "CREATE is no query"),
        ("CREATE TABLE mine AS PIVOT attempts ON verifier", "is no query"),
        ("DROP VIEW attempts", "DROP is no query"),
        ("COPY attempts TO '/dev/null'", "COPY writes"),
        ("EXPLAIN ANALYZE COPY (SELECT 1) TO '/dev/null'", "COPY writes"),
        ("explain analyse DROP VIEW attempts", "this is no query"),
        ("EXPLAIN /* as */ ANALYZE DROP VIEW attempts", "this is no query"),
        ("EXPLAIN (FORMAT JSON, ANALYZE) CREATE TABLE mine AS SELECT 1", "this is no query"),
        ("WITH q AS (PIVOT attempts ON verifier) INSERT INTO mine SELECT * FROM q", "INSERT writes"),
        ("WITH é AS (PIVOT attempts ON verifier) delete FROM mine", "DELETE writes"),
        ("WITH q AS (COPY (SELECT 1) TO '/dev/null') SELECT 1", "COPY writes"),
        ("SELEC 1", "the query cannot be answered"),
    ],
)
def test_only_queries_are_answered(store: Callable[..., PromptStore], sql: str, words: str) -> None:
    with store([("a", 1, [1.0])]) as opened:
        with pytest.raises(BadInput, match=words):
            opened.query(sql)
        for query in (
            "DESCRIBE attempts",
            "FROM attempts;",
            "-- why\nSHOW TABLES",
            "PIVOT attempts ON verifier USING sum(n)",
            "/* why */ (PIVOT attempts ON verifier USING sum(n)); -- so",
            "WITH q AS (pivot attempts ON verifier) SELECT * FROM q",
            "EXPLAIN ANALYZE PIVOT attempts ON verifier",
            "EXPLAIN (FORMAT JSON) SELECT 'update', n AS \"delete\" FROM attempts",
            "explain analyze (SELECT 1)",
        ):
            assert opened.query(query).num_rows


def test_a_row_that_stands_twice_in_a_set_is_one_prompt(part: Callable[..., StorePart]) -> None:
    made = part("run", [("a", 1, [1.0])])
    file = made.prompt_sets["train"]
    table = pq.read_table(file)
    rows = table.to_pylist()
    pq.write_table(pa.Table.from_pylist([*rows, {**rows[0], "reference": "another"}], table.schema), file)
    with PromptStore([made]) as opened:
        found = opened.query("SELECT prompt_id, reference FROM prompts ORDER BY 1").to_pylist()
    assert [tuple(row.values()) for row in found][:2] == [("a", "1"), ("b", "2")] and len(found) == 5


def test_turnover(store: Callable[..., PromptStore]) -> None:
    """Wrong, right, wrong, wrong, right: newly solved once, forgotten once, repaired after five versions."""
    rates = {1: [0.0, 0.0], 3: [1.0, 0.0], 5: [0.0], 6: [0.0, 1.0, 0.0], 10: [1.0]}
    with store([("b", version, rewards) for version, rewards in rates.items()]) as opened:
        rows = opened.query(
            "SELECT policy_version, version_before, move, versions_lost FROM turnover ORDER BY 1"
        )
    assert [tuple(row.values()) for row in rows.to_pylist()] == [
        (1, None, "first", None),
        (3, 1, "newly solved", None),
        (5, 3, "forgotten", None),
        (6, 5, "same", None),
        (10, 6, "repaired", 5),
    ]


def test_prompts_of_any_form(part: Callable[..., StorePart], tmp_path: Path) -> None:
    """Hone's Parquet is queried where it lies; another form goes through the reader; both say the same."""
    of_parquet = part("one", [("a", 1, [1.0])])
    rows = [
        {"prompt_id": name, "messages": [{"role": "user", "content": f"What is {name}?"}], "tags": [kind, "all"],
         "verifier": "math", "reference": ref, "source": "hand"}
        for name, kind, ref in (("a", "sum", "1"), ("e", "where", "it's 5%"))
    ]  # fmt: skip
    lines = tmp_path / "set.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    of_lines = replace(of_parquet, run="two", prompt_sets={"heldout": str(lines)})
    with PromptStore([of_parquet, of_lines]) as opened:
        found = opened.query(
            "SELECT * FROM prompts WHERE prompt_id IN ('a', 'e') ORDER BY run, prompt_id"
        ).to_pylist()
    assert [(row.pop("run"), row.pop("split")) for row in found] == [("one", "train")] * 2 + [
        ("two", "heldout")
    ] * 2
    assert found[:2] == found[2:]
    assert found[1]["reference"] == "it's 5%" and found[1]["question"] == "What is e?"


def test_runs_are_told_apart_whatever_they_are_called(part: Callable[..., StorePart]) -> None:
    names = ["it's", "a'; DROP VIEW rollouts; --"]
    with PromptStore([part(name, [("a", 1, [1.0] * (1 + i))]) for i, name in enumerate(names)]) as opened:
        found = opened.query("SELECT run, n FROM attempts ORDER BY n").to_pylist()
    assert found == [{"run": names[0], "n": 1}, {"run": names[1], "n": 2}]


def test_a_shard_is_counted_once(part: Callable[..., StorePart], tmp_path: Path) -> None:
    """Counts are kept; a new shard is added, one written anew counted anew, another score counts all anew."""

    def rates(of: StorePart) -> list[float]:
        with PromptStore([of]) as opened:
            rows = opened.query(
                "SELECT pass_rate FROM attempts ORDER BY prompt_id, policy_version"
            ).to_pylist()
        return [row["pass_rate"] for row in rows]

    one = replace(part("one", [("a", 1, [1.0, 0.6])]), summary_file=tmp_path / "store" / "attempts.parquet")
    shard = one.rollout_files[0]
    assert rates(one) == [1.0]
    before, content = shard.stat(), shard.read_bytes()
    shard.write_bytes(content.replace(b"math", b"MATH"))
    os.utime(shard, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert rates(one) == [1.0]  # looks the same: not read again, or the verifier would be another
    with PromptStore([one]) as opened:
        assert opened.query("SELECT verifier FROM attempts")["verifier"].to_pylist() == ["math"]
    shard.write_bytes(content)
    other = (
        part("two", [("b", 1, [0.0]), ("b", 2, [1.0])])
        .rollout_files[0]
        .rename(shard.with_name("step 2.parquet"))
    )
    both = replace(one, rollout_files=[shard, other])
    assert rates(both) == [1.0, 0.0, 1.0]
    assert rates(replace(both, pass_score=0.8)) == [0.5, 0.0, 1.0]
    other.unlink()
    assert rates(one) == [1.0]  # what went from the log went from the counts
    assert one.summary_file is not None
    one.summary_file.write_bytes(b"damaged")
    assert rates(one) == [1.0]
    assert rates(replace(one, summary_file=shard / "no folder")) == [1.0]


def test_verdicts_are_all_judgements(tmp_path: Path) -> None:
    """Of a verifier, of a reward model and of a later judging; of a broken format there is none."""
    said = {"prompt_id": "a", "kind": "verifiable", "policy_version": 1, "verifier": "math", "revision": "r1"}
    rows = [
        {**said, "rollout_id": "1", "reward": 1.0, "verdict_status": "scored", "verdict_tier": "numeric"},
        {**said, "rollout_id": "2", "reward": 0.0, "answer_status": "no_answer"},
        {
            **said,
            "rollout_id": "3",
            "reward": 0.7,
            "verifier": None,
            "score_status": "scored",
            "score_reason": "good",
        },
        {**said, "rollout_id": "4", "reward": None, "verdict_status": "timeout"},
    ]
    again = {
        **said,
        "rollout_id": "1",
        "reward": 0.0,
        "verdict_status": "scored",
        "judging": 1,
        "revision": "r2",
    }
    log, later = tmp_path / "log.parquet", tmp_path / "later.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), log)
    pq.write_table(pa.Table.from_pylist([again]), later)
    with PromptStore([StorePart("run", [log], {}, rejudged_files=[later])]) as opened:
        found = opened.query("SELECT * FROM verdicts ORDER BY rollout_id, judging NULLS FIRST").to_pylist()
    shown = [(row["rollout_id"], row["revision"], row["status"], row["score"], row["worth"]) for row in found]
    assert shown == [
        ("1", "r1", "scored", 1.0, 1.0), ("1", "r2", "scored", 0.0, 0.0), ("3", "r1", "scored", 0.7, 1.0),
        ("4", "r1", "timeout", None, None),
    ]  # fmt: skip
    assert [row["by_reward_model"] for row in found] == [False, False, True, False]
    assert (found[0]["tier"], found[2]["reason"]) == ("numeric", "good")


def test_what_cannot_be_answered_is_one_line(part: Callable[..., StorePart]) -> None:
    one = part("one", [("a", 1, [1.0])])
    with pytest.raises(BadInput, match="same name"):
        PromptStore([one, one])
    with pytest.raises(BadInput, match="no rollout has been logged"):
        PromptStore([replace(one, rollout_files=[])])
    with PromptStore([one]) as opened, pytest.raises(BadInput, match="no_such_column") as why:
        opened.query("SELECT no_such_column FROM prompts")
    assert "\n" not in str(why.value)
