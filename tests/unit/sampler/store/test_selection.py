"""Rules against sets chosen by hand; evenness by its definition; what a selection lost is said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from sampler.store.prompt_store import PromptStore
from sampler.store.selection import SelectionRule, select
from verifiers.errors import BadInput

TYPES = {"a": "sum", "b": "sum", "c": "where", "d": "where", "e": "where"}
REFERENCES = {"c": "1", "d": "1", "e": "it's 5%"}
ATTEMPTS = [
    ("a", 1, [1.0] * 8),
    ("b", 1, [1.0, 0.0] * 4),
    ("c", 1, [0.0] * 8),
    ("c", 2, [1.0] * 8),
    ("d", 1, [1.0, 0.0]),
]


@pytest.mark.parametrize(
    ("rule", "ids", "dropped"),
    [
        (SelectionRule(), "abc", {"too few samples": 1, "not tried": 1}),
        (SelectionRule(min_samples=1), "abcd", {"not tried": 1}),
        (SelectionRule((0.1, 0.75)), "bc", {"pass rate": 1, "too few samples": 1, "not tried": 1}),
        (SelectionRule(min_spread=0.1), "b", {"spread": 2, "too few samples": 1, "not tried": 1}),
        (SelectionRule(moves=("newly solved",)), "c", {"move": 2, "too few samples": 1, "not tried": 1}),
        (SelectionRule(question_types=("sum",)), "ab", {"other question type": 3}),
        (
            SelectionRule(standings=("in between",)),
            "bc",
            {"standing": 1, "too few samples": 1, "not tried": 1},
        ),
    ],
)
def test_rules(
    store: Callable[..., PromptStore], rule: SelectionRule, ids: str, dropped: dict[str, int]
) -> None:
    with store(ATTEMPTS) as opened:
        selection = select(opened, "run", rule)
    assert sorted(selection.prompt_ids) == list(ids)
    assert selection.dropped == dropped


def test_a_selection_says_what_it_lost(store: Callable[..., PromptStore]) -> None:
    with store(ATTEMPTS) as opened:
        selection = select(opened, "run", SelectionRule(moves=("newly solved",)))
        one = select(opened, "run", SelectionRule(), num=1)
    # Of three places c, d and e two have the reference 1, which c has too.
    assert selection.moved == {"where": pytest.approx(1 / 3)}
    assert selection.warnings[::-1] == (
        'where: no prompt with the reference "it\'s 5%" is left, which 33% have',
        "sum: no prompt is left, of 2 prompts",
    )
    assert len(one.prompt_ids) == 1 and one.dropped["more than asked for"] == 2


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (SelectionRule(min_samples=17), "17 judged samples"),
        (SelectionRule(split="heldout"), "no prompts of split 'heldout'"),
        (SelectionRule(moves=("lost",)), "'lost' is no move"),
    ],
)
def test_evidence_that_is_missing_is_refused(
    store: Callable[..., PromptStore], rule: SelectionRule, words: str
) -> None:
    with store(ATTEMPTS) as opened, pytest.raises(BadInput, match=words):
        select(opened, "run", rule)


def test_moves_need_two_policies(store: Callable[..., PromptStore]) -> None:
    with store([("a", 1, [1.0] * 4)]) as opened, pytest.raises(BadInput, match="tried by two policies"):
        select(opened, "run", SelectionRule(moves=("forgotten",)))


def test_evenly(store: Callable[..., PromptStore]) -> None:
    """However many are taken: no type has two more than another with prompts left, nor a reference within a type."""
    with store([(name, 1, [1.0, 0.0] * 2) for name in "abcde"]) as opened:
        whole = select(opened, "run", SelectionRule()).prompt_ids
        for num in range(1, 6):
            taken = select(opened, "run", SelectionRule(), num=num).prompt_ids
            assert taken == whole[:num]
            counts = Counter(TYPES[name] for name in taken)
            assert num == 5 or abs(counts["sum"] - counts["where"]) <= 1
            if counts["where"] > 1:
                assert {REFERENCES[name] for name in taken if TYPES[name] == "where"} == {"1", "it's 5%"}
        others = {select(opened, "run", SelectionRule(), seed=seed).prompt_ids for seed in range(8)}
    assert sorted(whole) == list("abcde") and len(others) > 3
