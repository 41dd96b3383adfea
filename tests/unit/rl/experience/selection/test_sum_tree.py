"""The sum tree against cumulative sums, which take O(N) a draw."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl.experience.selection.sum_tree import SumTree

# Whole numbers, so that sums in any order are exact.
WEIGHTS = st.lists(st.integers(0, 9), min_size=1, max_size=40)


@given(WEIGHTS, st.integers(0, 2**32), st.data())
def test_find_and_set_as_cumulative_sums_say(weights: list[int], seed: int, data: st.DataObject) -> None:
    tree = SumTree(np.array(weights, np.float64))
    changed = np.array(weights, np.float64)
    where = data.draw(st.lists(st.integers(0, len(weights) - 1), unique=True))
    to = data.draw(st.lists(st.integers(0, 9), min_size=len(where), max_size=len(where)))
    tree.set(np.array(where, np.int64), np.array(to, np.float64))
    changed[where] = to
    assert tree.total == changed.sum() and np.array_equal(tree.weights, changed)
    if not changed.any():
        return
    places = np.random.default_rng(seed).random(20) * tree.total
    naive = np.searchsorted(np.cumsum(changed), places, side="right")
    assert np.array_equal(tree.find(places), naive)


@given(WEIGHTS, st.integers(0, 45), st.integers(0, 2**32))
def test_a_sample_is_what_drawing_one_by_one_gives(weights: list[int], num: int, seed: int) -> None:
    """Different leaves of some weight, as many as there are; the tree is as before; the same seed draws the same."""
    tree = SumTree(np.array(weights, np.float64))
    drawn = tree.sample(num, np.random.default_rng(seed)).tolist()
    assert len(set(drawn)) == len(drawn) == min(num, sum(weight > 0 for weight in weights))
    assert all(weights[one] > 0 for one in drawn)
    assert tree.weights.tolist() == weights and tree.total == sum(weights)
    assert tree.sample(num, np.random.default_rng(seed)).tolist() == drawn


@given(WEIGHTS, st.integers(0, 45), st.integers(0, 2**32))
def test_a_sample_is_that_of_cumulative_sums(weights: list[int], num: int, seed: int) -> None:
    """The same random numbers looked up in O(N), over and over with what was drawn taken out."""
    left, drawn, rng = np.array(weights, np.float64), list[int](), np.random.default_rng(seed)
    while len(drawn) < num and left.any():
        places = rng.random(num - len(drawn)) * left.sum()
        found = np.searchsorted(np.cumsum(left), places, side="right").tolist()
        drawn += dict.fromkeys(found)
        left[drawn] = 0
    tree = SumTree(np.array(weights, np.float64))
    assert tree.sample(num, np.random.default_rng(seed)).tolist() == drawn


def test_shares_of_pairs_are_those_of_successive_sampling() -> None:
    """P(i then j) = w_i / W x w_j / (W - w_i), over 4,000 draws: within five standard errors."""
    weights, num = np.array([5.0, 3.0, 0.0, 1.0, 1.0]), 4_000
    tree, rng = SumTree(weights), np.random.default_rng(7)
    found = Counter(tuple(tree.sample(2, rng).tolist()) for _ in range(num))
    for i, first in enumerate(weights):
        for j, second in enumerate(weights):
            share = 0.0 if i == j else first / 10 * second / (10 - first)
            assert found[i, j] / num == pytest.approx(share, abs=5 * np.sqrt(share / num) + 1e-12)


def test_without_is_nested_and_undone() -> None:
    tree, rng = SumTree(np.ones(6)), np.random.default_rng(0)
    with tree.without(np.array([0, 1, 1])):
        with tree.without(np.array([1, 2])):
            assert sorted(tree.sample(9, rng).tolist()) == [3, 4, 5]
        assert tree.total == 4
    assert tree.total == 6
    assert len(SumTree(np.zeros(0))) == 0 and not len(SumTree(np.zeros(3)).sample(2, rng))
