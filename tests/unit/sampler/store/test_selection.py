"""Rules against sets chosen by hand; evenness by its definition; what a selection lost is said."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest

from sampler.store.prompt_store import PromptStore
from sampler.store.selection import SelectionRule, evenly, select
from verifiers.errors import BadInput

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
    assert selection.warnings == (
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


def test_evenly() -> None:
    """However many are taken: no outer cell has two more than another with items left, and so within it."""
    draw = random.Random(4)
    cells = [(draw.choice("abc"), draw.choice("123456")) for _ in range(60)]
    order = evenly(cells, None, seed=1)
    assert sorted(order) == list(range(60))
    whole = Counter(cells)
    outer_whole = Counter(outer for outer, _ in cells)
    for num in range(1, 61):
        taken = Counter(cells[i] for i in order[:num])
        outer = Counter(cells[i][0] for i in order[:num])
        assert evenly(cells, num, seed=1) == order[:num]
        for small in outer_whole:
            if outer[small] < outer_whole[small]:
                assert max(outer.values()) <= outer[small] + 1
        for cell in whole:
            if taken[cell] < whole[cell]:
                most = max((count for other, count in taken.items() if other[0] == cell[0]), default=0)
                assert most <= taken[cell] + 1
    assert evenly(cells, 10, seed=1) != evenly(cells, 10, seed=2)
