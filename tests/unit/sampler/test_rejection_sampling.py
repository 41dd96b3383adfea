"""The harvest's filters: each reason by an example, and no dependence on the order of arrival."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sampler.prompt import Prompt
from sampler.rejection_sampling import DROP_REASONS, Candidate, HarvestRule, balance, most_diverse

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


def test_each_further_filter(prompt: Callable[..., Any]) -> None:
    rule = replace(
        RULE, max_per_prompt=9, max_over_median=2.0, max_over_shortest=5.0, max_language_mixing_frac=0.2,
        max_similarity=0.9,
    )  # fmt: skip
    a = prompt("a")
    whole = [
        candidate(a, 0, "one way to nine", 4), candidate(a, 1, "some other thought", 10), candidate(a, 2, "x" * 30, 12),
        candidate(a, 3, "long and longer", 21),  # over 2 x 10.5
        candidate(a, 4, "user: and now?", 10), candidate(a, 5, "One way to  nine!", 11),
        replace(candidate(a, 6, "mixed", 10), language_mixing_frac=0.25),
        replace(candidate(a, 7, "hardly mixed", 10), language_mixing_frac=0.2),
    ]  # fmt: skip
    harvest = rule.apply(whole)
    assert {one.rollout_id: reason for one, reason in harvest.left_out} == {
        "r-a-2": "repetition", "r-a-3": "over_thinking", "r-a-4": "template", "r-a-5": "near_duplicate",
        "r-a-6": "language_mixing",
    }  # fmt: skip
    assert kept(whole, replace(rule, max_over_median=None)) == [
        "r-a-0",
        "r-a-1",
        "r-a-7",
    ]  # 21 is over 5 x 4 as well
    loose = replace(rule, max_over_median=None, max_over_shortest=5.25, drops_template_leftovers=False)
    assert kept(whole, loose) == ["r-a-0", "r-a-1", "r-a-3", "r-a-4", "r-a-7"]


def test_the_first_are_kept_in_their_order(prompt: Callable[..., Any]) -> None:
    a = prompt("a")
    whole = [replace(candidate(a, i, length=20 - i), index=i) for i in (11, 2, 10, 7)]
    assert [one.index for one in replace(RULE, keep="first").apply(whole).kept] == [2, 7]


def test_the_most_diverse(prompt: Callable[..., Any]) -> None:
    a = prompt("a")
    texts = ["add them one by one", "add them one by two", "multiply and halve", "add them two by two"]
    whole = [candidate(a, i, text, i + 5) for i, text in enumerate(texts)]
    assert kept(whole, replace(RULE, keep="diverse")) == ["r-a-0", "r-a-2"]
    assert [one.rollout_id for one in most_diverse(whole, 9)] == ["r-a-0", "r-a-2", "r-a-3", "r-a-1"]
    assert most_diverse([], 2) == []


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "ab", "abc", "so so so so so so", "abd"]), st.integers(1, 30)),
        max_size=24,
    ),
    st.integers(0, 24),
    st.booleans(),
)
def test_later_samples_take_no_row_away(
    prompt: Callable[..., Any], drawn: list[tuple[str, int]], cut: int, filtered: bool
) -> None:
    """With ``keep="first"`` the rows of the first samples stand, once those that over-thinking is told by are drawn."""
    more = {"max_over_median": 1.5, "max_over_shortest": 2.0, "max_similarity": 0.7} if filtered else {}
    rule = replace(RULE, keep="first", opening=4, **more)
    of = prompt("a")
    whole = [replace(candidate(of, i, text, length), index=i) for i, (text, length) in enumerate(drawn)]
    before, _ = rule.choose(whole[: max(cut, 4)])
    after, _ = rule.choose(whole)
    assert [one.index for one in after[: len(before)]] == [one.index for one in before]
