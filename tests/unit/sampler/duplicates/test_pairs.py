"""What is a duplicate, what a leak, and what neither."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from sampler.duplicates.duplicate_pairs import duplicate_pairs, superfluous
from sampler.duplicates.leak_pairs import leak_pairs
from sampler.duplicates.picture_print import PicturePrints
from sampler.duplicates.prompt_pair import PromptPair
from sampler.duplicates.prompt_prints import PromptKey, PromptPrints
from sampler.prompt import Prompt
from sampler.vision_input import VisionInput
from tests.unit.sampler.duplicates.test_look_alikes import changed, photo, stored

QUESTION = "How many cups stand on the table beside the window in this picture?"
PHOTO = stored(photo(1))
PIXEL, JPEG, OTHER = stored(changed(photo(1))), stored(photo(1), "JPEG", quality=50), stored(photo(2))
LONG = "A farmer has some sheep and twice as many hens, and together they have {} legs; how many hens does he have?"

RULES = (
    " Think step by step before you answer, write down what you see in every part of the picture, count it twice, and"
    " then give the final number alone, without a unit or any other word, in a box."
)
CAPITAL = "What is the capital city of the country named France?"


def ask(text: str = QUESTION, *shown: VisionInput, reference: Any = "3") -> Prompt:
    parts = [*({"type": "image"} for _ in shown), {"type": "text", "text": text}]
    return Prompt.build(
        messages=[{"role": "user", "content": parts}], images=shown, verifier="number", reference=reference
    )


def pairs_of(*prompts: Prompt) -> list[tuple[int, int, str]]:
    return [(one.first, one.second, one.kind) for one in duplicate_pairs(PromptPrints.of(prompts))]


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        (ask(QUESTION, PHOTO), ask(f" {QUESTION.upper()}  ", PHOTO), "exact"),
        (ask(), ask(QUESTION.replace(" ", "\u00a0")), "exact"),
        (ask(QUESTION, PHOTO), ask(QUESTION, PIXEL), "near"),
        (ask(QUESTION, PHOTO, OTHER), ask(QUESTION, JPEG, OTHER), "near"),
        (ask(LONG.format(40)), ask("Look: " + LONG.format(40)), "near"),
        (ask(LONG.format(40), PHOTO), ask("Look: " + LONG.format(40), JPEG), "near"),
        (ask(QUESTION, PHOTO), ask("How many plates are there?", PHOTO), None),  # one picture, two questions
        (ask(QUESTION, PHOTO), ask(QUESTION, OTHER), None),  # one question, two pictures
        (ask(QUESTION, PHOTO), ask(QUESTION, PIXEL, reference="4"), None),  # another answer
        (ask(QUESTION, PHOTO, OTHER), ask(QUESTION, OTHER, PHOTO), None),  # in another order
        (ask(QUESTION, PHOTO), ask(QUESTION), None),
        (ask(LONG.format(40)), ask(LONG.format(44)), None),  # another number
        (ask("Is it left?"), ask("Is it right?"), None),
        (ask(f"How many red cubes?{RULES}", PHOTO), ask(f"How many blue cubes?{RULES}", PHOTO), None),
        (ask(f"Is red left of blue?{RULES}"), ask(f"Is blue left of red?{RULES}"), None),
        (ask(f"What is 2+3*4?{RULES}"), ask(f"What is 2*3+4?{RULES}"), None),
        (ask(f"How many red cubes?{RULES}", PHOTO), ask(f"How many are the red cubes?{RULES}", JPEG), "near"),
    ],
)
def test_duplicates(one: Prompt, other: Prompt, kind: str | None) -> None:
    assert pairs_of(one, other) == ([(0, 1, kind)] if kind else [])


def test_each_of_many_copies_is_found_and_all_but_one_left_out() -> None:
    copies = [ask(QUESTION.replace(" ", f" {',' * at}", 1)) for at in range(40)]
    assert list(superfluous(duplicate_pairs(PromptPrints.of(copies)))) == list(range(1, 40))


def test_of_each_group_the_first_stays() -> None:
    pairs = [PromptPair(4, 7, "near"), PromptPair(2, 7, "near"), PromptPair(1, 3, "exact")]
    assert superfluous(pairs) == {4: 2, 7: 2, 3: 1}


@pytest.mark.parametrize(
    ("heldout", "train", "kind"),
    [
        (ask(QUESTION, PHOTO), ask(f"{QUESTION} ", PHOTO, reference="4"), "exact"),  # however it is judged
        (ask(QUESTION, PHOTO), ask(QUESTION.lower(), PIXEL), "near"),
        (ask(QUESTION, PHOTO), ask(QUESTION.replace("stand", "are"), JPEG), "near"),
        (ask(LONG.format(40)), ask("In spring, " + LONG.format(40) + " Say how."), "12-gram"),
        (ask(CAPITAL), ask(CAPITAL.replace("city", "city,"), reference="4"), "near"),
        (ask(CAPITAL), ask(CAPITAL.replace("France", "Spain")), None),
        (ask(QUESTION, PHOTO), ask("What colour is the wall?", JPEG), "picture"),
        (ask(QUESTION, PHOTO), ask(QUESTION, JPEG, reference="4"), "picture"),
        (ask(QUESTION, PHOTO), ask(QUESTION, OTHER), None),
        (ask("Is it left?"), ask("Is it right?"), None),
    ],
)
def test_leaks(heldout: Prompt, train: Prompt, kind: str | None) -> None:
    found = leak_pairs(PromptPrints.of([heldout]), PromptPrints.of([ask("Why?"), train]))
    assert [(one.first, one.second, one.kind) for one in found] == ([(0, 1, kind)] if kind else [])


def test_every_copy_of_a_held_out_prompt_is_named_and_a_template_is_no_sign() -> None:
    template = "Think step by step and put the last number of your answer into a box as I showed you. "
    train = [ask(f"{template}{n} and {n}?") for n in range(40)] + [ask(QUESTION, PIXEL), ask(QUESTION, JPEG)]
    heldout = [ask(f"{template}{n} and {n}?") for n in range(50, 60)] + [ask(QUESTION, PHOTO)]
    found = leak_pairs(PromptPrints.of(heldout), PromptPrints.of(train))
    assert sorted((one.first, one.second) for one in found) == [(10, 40), (10, 41)]


@pytest.mark.parametrize("num", [5, 6, 40])
def test_many_copies_of_a_held_out_question_are_no_template(num: int) -> None:
    train = [ask(f"{number} times I asked. {LONG.format(40)}") for number in range(num)]
    heldout = [ask(LONG.format(40)), ask("Why is it so?")]
    found = leak_pairs(PromptPrints.of(heldout), PromptPrints.of(train))
    assert [(one.first, one.kind) for one in found] == [(0, "12-gram")] * num


def test_time_grows_with_the_number_not_its_square() -> None:
    """4,000 prompts over one picture, over pictures that look alike, and over nearly one text: seconds."""
    rng = np.random.default_rng(1)
    num = 2_000
    keys = [
        PromptKey(f"question {rng.integers(1e9)} of one template with quite a few more words", ("a",), "3")
        for _ in range(num)
    ]
    keys += [PromptKey("what is it", (str(at),), str(at % 7)) for at in range(num)]
    hashes = np.full(num, 2**40, np.uint64) ^ (np.uint64(1) << rng.integers(0, 40, num, dtype=np.uint64))
    pictures = PicturePrints(
        {"a": 0, **{str(at): at + 1 for at in range(num - 1)}},
        hashes,
        rng.integers(0, 255, (num, 432), dtype=np.uint8),
    )
    started = time.process_time()
    duplicate_pairs(PromptPrints(keys, pictures, {}))
    assert time.process_time() - started < 30
