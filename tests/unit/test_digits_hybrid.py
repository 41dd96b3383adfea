"""Descriptions: each is worth its grade by a reading of its own; the two kinds stand shuffled in one set."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from recipes.digit_description import COUNT_WORDS, describe
from recipes.digit_picture import digit_banks, draw_picture
from recipes.digits_hybrid import build_description_preferences, build_hybrid
from reward_models.preference import load_preferences
from sampler.prompt_dataset import load_prompts
from sampler.sft_row import load_sft_rows
from verifiers.answer import split_response
from verifiers.errors import BadInput

SIZES = {
    "num_train_prompts": 20,
    "num_heldout_prompts": 8,
    "num_cold_start_rows": 20,
    "num_general_prompts": 20,
    "num_general_heldout_prompts": 8,
    "num_general_cold_start_rows": 20,
}


def graded(text: str, digits: tuple[int, ...]) -> int:
    """The grade of a description, read from its words alone."""
    named = [int(digit) for digit in re.findall(r"\d", text)]
    counted = next((COUNT_WORDS.index(word) for word in text.split() if word in COUNT_WORDS), None)
    if not named:
        return 2
    if counted is not None:
        return 5 if counted == len(digits) and named == list(digits) else 1
    if text.startswith("The digits are"):
        return 4 if named == list(digits) else 1
    left = list(digits)
    for digit in named:
        if digit not in left:
            return 1
        left.remove(digit)
    return 3


def test_descriptions_are_worth_their_grade() -> None:
    bank, _ = digit_banks(0.2, 0)
    rng = random.Random(1)
    for _ in range(400):
        picture = draw_picture(bank, rng, rng.randint(2, 4))
        for grade in range(1, 6):
            text = describe(picture, grade, rng)
            assert graded(text, picture.digits) == grade, (text, picture.digits)


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
