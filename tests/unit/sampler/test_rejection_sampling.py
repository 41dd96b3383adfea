"""The harvest's filters: each reason by an example, and no dependence on the order of arrival."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampler.prompt import Prompt
from sampler.rejection_sampling import DROP_REASONS, Candidate, HarvestRule, balance, is_repetitive

RULE = HarvestRule(max_response_tokens=100, max_repeats=4, max_per_prompt=2, balance_ratio=2.0)


def candidate(of: Prompt, number: int, response: str | None = None, length: int = 10) -> Candidate:
    return Candidate(
        of, f"r-{of.prompt_id}-{number}", response or f"answer {number} of {of.prompt_id}", length, 0, {}
    )


def kept(candidates: list[Candidate], rule: HarvestRule = RULE) -> list[str]:
    return sorted(one.rollout_id for one in rule.apply(candidates).kept)


def test_each_reason_once(prompt: Callable[..., Any]) -> None:
    a, b = prompt("a", tags=("sum",)), prompt("b", tags=("sum",))
    harvest = RULE.apply(
        [
            candidate(a, 0, length=101),
            candidate(a, 1, "la la la la la la"),
            candidate(a, 2, "right", 30),
            candidate(a, 3, "right", 31),
            candidate(a, 4, "short", 5),
            candidate(a, 5, "long", 40),
            candidate(b, 0, "right"),
        ]
    )
    assert sorted(one.rollout_id for one in harvest.kept) == ["r-a-2", "r-a-4", "r-b-0"]
    named = {"repetition": 1, "over_length": 1, "duplicate": 1, "per_prompt_limit": 1}
    assert harvest.dropped == dict.fromkeys(DROP_REASONS, 0) | named
    assert tuple(harvest.dropped) == DROP_REASONS


def test_a_prompt_keeps_its_shortest(prompt: Callable[..., Any]) -> None:
    a = prompt("a")
    assert kept([candidate(a, i, length=20 - i) for i in range(6)]) == ["r-a-4", "r-a-5"]


def test_limit_is_inclusive(prompt: Callable[..., Any]) -> None:
    assert kept([candidate(prompt("a"), 0, length=100)]) == ["r-a-0"]


def test_balance_by_hand(prompt: Callable[..., Any]) -> None:
    """Types with 6, 2 and 1 rows: the median is 2, so at most 4; of a prompt with two rows one goes first."""
    many = [prompt(f"m{i}", tags=("many",)) for i in range(4)]
    rows = [candidate(one, i) for one in many[:2] for i in range(2)] + [candidate(one, 0) for one in many[2:]]
    rows += [candidate(prompt(f"f{i}", tags=("few",)), 0) for i in range(2)]
    rows += [candidate(prompt("o", tags=("one",)), 0)]
    balanced = Counter(one.prompt.question_type for one in balance(rows, 2.0))
    assert balanced == {"many": 4, "few": 2, "one": 1}
    left = [one.prompt.prompt_id for one in balance(rows, 2.0) if one.prompt.question_type == "many"]
    assert sorted(left) == ["m0", "m1", "m2", "m3"]
    assert RULE.apply(rows).dropped["balance"] == 2
    assert balance([], 2.0) == []
    assert len(balance(rows, 3.0)) == 9


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3), st.integers(80, 110)), min_size=1, max_size=40),
    st.randoms(use_true_random=False),
)
def test_order_does_not_matter_and_all_are_counted(
    prompt: Callable[..., Any], drawn: list[tuple[int, int, int]], shuffler: random.Random
) -> None:
    types = ("sum", "sum", "sum", "largest", "largest", "where", "count")
    candidates = [
        candidate(prompt(f"p{p}", tags=(types[p],)), number, f"text {text}" if text else "x" * 9, length)
        for number, (p, text, length) in enumerate(drawn)
    ]
    harvest = RULE.apply(candidates)
    assert len(harvest.kept) + sum(harvest.dropped.values()) == len(candidates)
    shuffled = list(candidates)
    shuffler.shuffle(shuffled)
    again = RULE.apply(shuffled)
    assert (again.kept, again.dropped) == (harvest.kept, harvest.dropped)
    per_prompt = Counter(one.prompt.prompt_id for one in harvest.kept)
    assert max(per_prompt.values(), default=0) <= 2
    assert len({(one.prompt.prompt_id, one.response) for one in harvest.kept}) == len(harvest.kept)
    assert all(one.num_response_tokens <= 100 and one.response != "x" * 9 for one in harvest.kept)


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


def test_repetition_against_counting(prompt: Callable[..., Any]) -> None:
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


def test_repetition_takes_linear_time() -> None:
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
        assert time.perf_counter() - start < 5
