"""A file of answers to score: rows become comparisons with their references, mistakes name row and column."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from recipes.commands.output.score_file import read_comparisons, scored, words_of, write_scores
from reward_models.score import Score
from verifiers.answer import FinalAnswer
from verifiers.errors import BadInput


def write(path: Path, *rows: dict[str, Any]) -> Path:
    base = {"messages": [{"role": "user", "content": "Describe it."}], "reference": "two digits"}
    path.write_text("".join(json.dumps({**base, **row}) + "\n" for row in rows))
    return path


def test_answers_and_responses(tmp_path: Path) -> None:
    file = write(
        tmp_path / "a.jsonl",
        {"id": "x", "answer": "three digits"},
        {"response": "<think>secret</think>one digit"},
        {"response": "no tags"},
    )
    first, second, third = read_comparisons(file)
    assert (first.comparison_id, first.first, first.second) == (
        "x", FinalAnswer("three digits"), FinalAnswer("two digits"),
    )  # fmt: skip
    assert second.first == FinalAnswer("one digit") and "line 2" in second.comparison_id
    assert third.first.status == "no_thought"
    assert read_comparisons(file, expects_thought=False)[2].first.ok


def test_scores_stand_in_order_and_failures_are_counted(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", *({"id": str(i), "answer": f"answer {i}"} for i in range(1200)))

    def compare(asked: Any) -> dict[str, Score]:
        assert len(asked) <= 512
        return {
            one.comparison_id: Score.failed("gone") if one.comparison_id == "7" else Score.scored(0.75)
            for one in reversed(asked)
        }

    rows = list(scored(read_comparisons(file), compare))
    write_scores(tmp_path / "out" / "scores.jsonl", rows)
    written = [json.loads(line) for line in (tmp_path / "out" / "scores.jsonl").read_text().splitlines()]
    assert [row["id"] for row in written] == [str(i) for i in range(1200)]
    assert (written[7]["status"], written[7]["probability"]) == ("error", None)
    assert words_of(rows).startswith("1,199 answers: win rate 100.0%") and "1 not scored" in words_of(rows)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"answer": "x", "reference": ""}, r"line 1, column 'reference'"),
        ({"answer": 7}, r"line 1, column 'answer': expected text, got int"),
        ({}, r"line 1: give a column 'answer'"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, row: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        read_comparisons(write(tmp_path / "a.jsonl", row))


def test_an_id_that_stands_twice(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", {"id": "x", "answer": "a"}, {"id": "x", "answer": "b"})
    with pytest.raises(BadInput, match="line 2, column 'id': 'x' stands twice"):
        read_comparisons(file)
