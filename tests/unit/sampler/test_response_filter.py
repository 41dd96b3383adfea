"""What a response may be unfit for, by tables: babble, leftovers of a template, likeness."""

from __future__ import annotations

import random
import time

import pytest

from sampler.response_filter import is_repetitive, similarity, template_leftover


@pytest.mark.parametrize(
    ("text", "repetitive"),
    [
        ("3+5+1", False),
        ("ab" * 4, False),
        ("ab" * 5, True),
        ("so so so so so so ", True),
        ("the sum is 1000000000000", False),
        ("1/3 = 0.33333333333333333", False),
        ("x = 1\n" * 5, True),
        ("wait, " * 4 + "no", False),
        ("so far                      so good", False),
        ("a\n\n\n\n\n\n\n\nb", False),
        ("The digits are 3, 5, 7, 9, 1, 2, 4", False),
        ("12ab" * 5, True),
        ("a" * 41 + "b", True),
        (("x" * 3 + "y" * 36 + "z") * 5, True),
        ("我" * 6, True),
        ("", False),
    ],
)
def test_repetition(text: str, repetitive: bool) -> None:
    assert is_repetitive(text, 4) is repetitive


def test_repetition_against_counting() -> None:
    """Random short texts over three letters: every phrase at every place, by counting."""
    rng = random.Random(1)
    for _ in range(300):
        text = "".join(rng.choice("ab ") for _ in range(rng.randint(1, 24)))
        by_counting = any(
            text.startswith(text[start : start + size] * 4, start) and text[start : start + size].strip()
            for start in range(len(text))
            for size in range(1, 8)
        )
        assert is_repetitive(text, 3) is by_counting, repr(text)


def test_hostile_texts_take_linear_time() -> None:
    """Texts made to make a back-reference search slow."""
    for text in (
        "a" * 10**6,
        "ab" * 10**5 + "c",
        " " * 10**6,
        "1" * 10**6,
        ("a" * 39 + "b") * 10**4,
        "0 " * 10**5,
    ):
        start = time.perf_counter()
        is_repetitive(text, 10**6)
        is_repetitive(text, 8)
        template_leftover(text)
        similarity(text, text[1:])
        assert time.perf_counter() - start < 5


@pytest.mark.parametrize(
    ("text", "leftover"),
    [
        ("The sum is 9.<|im_end|>", "<|im_end|>"), ("<|im_start|>assistant 9", "<|im_start|>"),
        ("<|endoftext|>", "<|endoftext|>"), ("[INST] 3 [/INST]", "[INST]"), ("<<SYS>> be kind", "<<SYS>>"),
        ("nine</s>", "</s>"), ("<start_of_turn>model", "<start_of_turn>"), ("9\nuser: and now?", "user:"),
        ("9\n\nAssistant: 9", "Assistant:"), ("### Human: hello", "### Human:"), ("9\nsystem\nyou are", "system"),
        ("human:", "human:"), ("<｜end▁of▁sentence｜>", "<｜end▁of▁sentence｜>"),
        ("The user: nine apples", None), ("<think>3+5</think>\\boxed{8}", None), ("a < b | c > d", None),
        ("users: three of them", None), ("The system is solved by x = 2", None), ("assistants help", None),
        ("|x| < 3", None), ("<s>old</s>ish", None), ("f[INSTANCE]", None), ("The user\nis asked", None), ("", None),
        ("<bbox>1 2 3 4</bbox>", None), ("<|" + "a" * 50 + "|>", None),
    ],
)  # fmt: skip
def test_template_leftovers(text: str, leftover: str | None) -> None:
    assert template_leftover(text) == leftover


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("3 + 5 = 8", "3+5=8", 1.0),
        ("ab", "cd", 0.0),
        ("Nine", "nine", 1.0),
        ("abcd", "abce", 0.75),
        ("", "", 1.0),
    ],
)
def test_similarity(one: str, other: str, expected: float) -> None:
    assert similarity(one, other) == similarity(other, one) == pytest.approx(expected)
