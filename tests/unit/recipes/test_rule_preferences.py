"""Graded lists from a prompt set of one's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reward_models.preferences.preference import load_preferences
from sampler.data.data_builder import build_data
from verifiers.answer import FinalAnswer
from verifiers.errors import BadInput
from verifiers.registry import load_verifier

BUILDER = "recipes.rule_preferences:build_preferences"


def write(path: Path, *rows: dict[str, str]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_lists_of_both_sets(tmp_path: Path) -> None:
    train = [{"messages": f"{n} + 1?", "verifier": "number", "reference": str(n + 1)} for n in range(5)]
    heldout = [
        {"messages": "6 * 7?", "verifier": "math", "reference": "42"},
        {"messages": "Hello", "kind": "general"},
    ]
    options = {
        "train_prompts": write(tmp_path / "train.jsonl", *train),
        "heldout_prompts": write(tmp_path / "heldout.jsonl", *heldout),
    }
    paths = build_data(BUILDER, tmp_path / "out", seed=3, options=options)
    lists = {name: load_preferences(path) for name, path in paths.items()}
    assert {name: len(each) for name, each in lists.items()} == {"train": 5, "heldout": 1}
    for one in [*lists["train"], *lists["heldout"]]:
        graded = dict(zip(one.grades, (answer.text for answer in one.answers), strict=True))
        rule = load_verifier(one.prompt.verifier, {})
        scores = {
            grade: rule.judge(one.prompt.reference, FinalAnswer(text)).score for grade, text in graded.items()
        }
        assert scores == {5: 1.0, 3: 0.0, 1: 0.0}
        assert "boxed{" in graded[3]


def test_a_set_without_rules_is_refused(tmp_path: Path) -> None:
    location = write(tmp_path / "general.jsonl", {"messages": "Hello", "kind": "general", "reference": "Hi"})
    options = {"train_prompts": location, "heldout_prompts": location}
    with pytest.raises(BadInput, match=r"general\.jsonl: no prompt has a verifier"):
        build_data(BUILDER, tmp_path / "out", seed=0, options=options)
