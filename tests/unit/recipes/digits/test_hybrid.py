"""Descriptions: each is worth its grade by a reading of its own; the two kinds stand shuffled in one set."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from recipes.digits.hybrid import (
    CELL_NAMES,
    COUNT_WORDS,
    NUM_DIGITS,
    build_description_preferences,
    build_hybrid,
    describe,
    falsified,
)
from reward_models.preferences.preference import load_preferences
from sampler.data.prompt_dataset import load_prompts
from sampler.data.sft_row import load_sft_rows
from verifiers.errors import BadInput
from verifiers.reading.response import split_response

SIZES = {
    "num_train_prompts": 20,
    "num_heldout_prompts": 8,
    "num_cold_start_rows": 20,
    "num_general_prompts": 20,
    "num_general_heldout_prompts": 8,
    "num_general_cold_start_rows": 20,
}


def graded(text: str, num_digits: int) -> int:
    """The grade of a description, read from its words alone."""
    cells = list(range(num_digits))
    named = [
        CELL_NAMES.index(name) for name in re.findall(r"top left|top right|bottom left|bottom right", text)
    ]
    if not named:
        return 2
    if set(named) - set(cells) or len(set(named)) < len(named):
        return 1
    counted = re.match(r"(\w+) digits:", text)
    if counted is not None:
        return 5 if named == cells and COUNT_WORDS.index(counted[1]) == num_digits else 1
    if text.startswith("The digits are"):
        return 4 if named == cells else 1
    return 3


def test_descriptions_are_worth_their_grade() -> None:
    rng = random.Random(1)
    for _ in range(200):
        num = rng.choice(NUM_DIGITS)
        for grade in range(1, 6):
            text = describe(num, grade, rng)
            assert graded(text, num) == grade, (text, num)
        for grade in (3, 4, 5):
            if grade > 3 or num < 4:
                text = falsified(num, grade, rng)
                assert graded(text, num) == 1, (text, num)
                assert any(graded(text, other) == grade for other in NUM_DIGITS), text


def test_both_kinds_in_every_set(tmp_path: Path) -> None:
    paths = build_hybrid(tmp_path, seed=3, **SIZES)
    train, heldout = load_prompts(paths["train"]), load_prompts(paths["heldout"])
    rows = load_sft_rows(paths["cold_start"])
    for prompts, num in ((train, 40), (heldout, 16), ([row.prompt for row in rows], 40)):
        assert len(prompts) == num
        general = [prompt for prompt in prompts if prompt.kind == "general"]
        assert len(general) == num // 2
        assert all(prompt.verifier is None and prompt.reference for prompt in general)
        kinds = [prompt.kind for prompt in prompts]
        assert kinds != sorted(kinds) and kinds != sorted(kinds, reverse=True)
    for row in rows:
        if row.prompt.kind == "general":
            assert split_response(row.response, finish_reason="stop").answer.text == row.prompt.reference
    assert not {p.images for p in train} & {p.images for p in heldout}
    again = build_hybrid(tmp_path / "again", seed=3, **SIZES)
    assert all(again[name].read_bytes() == path.read_bytes() for name, path in paths.items())


def test_preferences_have_all_grades_and_never_held_out_handwriting(tmp_path: Path) -> None:
    paths = build_description_preferences(tmp_path, num_train_prompts=12, num_heldout_prompts=6)
    train, heldout = (load_preferences(paths[name]) for name in ("train", "heldout"))
    assert (len(train), len(heldout)) == (12, 6)
    assert all(one.grades == (5, 4, 3, 2, 1) and len(list(one.pairs())) == 10 for one in train)
    assert not {one.prompt.images for one in train} & {one.prompt.images for one in heldout}


@pytest.mark.parametrize("weights", [(1.0,), (0, 0, 0, 0, 0), (1, 1, 1, 1, -1)])
def test_wrong_weights_are_refused(tmp_path: Path, weights: tuple[float, ...]) -> None:
    with pytest.raises(BadInput, match="grade_weights"):
        build_hybrid(tmp_path, grade_weights=weights, **SIZES)
