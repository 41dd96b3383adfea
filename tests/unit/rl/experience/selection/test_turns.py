"""Weighted draws that go round: shares by weight, and how evenly."""

from __future__ import annotations

import numpy as np
import pytest

from rl.experience.selection.turns import Turns

NONE = np.zeros(0, np.int64)


def counts_of(turns: Turns, num_steps: int, num: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    counts = np.zeros(len(turns.weights), np.int64)
    for _ in range(num_steps):
        found = turns.sample(num, NONE, rng)
        assert len(np.unique(found)) == len(found)
        counts[found] += 1
    return counts


@pytest.mark.parametrize("num", [1, 7, 30])
def test_equal_weights_make_epochs_in_orders_of_their_own(num: int) -> None:
    turns, rng = Turns(np.array([0.4, 0.0] * 30), "s"), np.random.default_rng(0)
    drawn = np.concatenate([turns.sample(num, NONE, rng) for _ in range(90 // num + 1)])
    epochs = [drawn[0:30].tolist(), drawn[30:60].tolist()]
    if num == 7:  # a step that holds the end of one and the start of the next has none twice: they interlock
        assert np.bincount(drawn[:56], minlength=60)[::2].tolist().count(0) == 0
        return
    assert all(sorted(epoch) == list(range(0, 60, 2)) for epoch in epochs) and epochs[0] != epochs[1]


@pytest.mark.parametrize("num", [1, 4])
def test_over_many_cycles_shares_are_those_of_the_weights(num: int) -> None:
    weights = np.array([0.0, 0.05, 0.2, 0.45, 1.0, 1.0, 1.3, 2.0, 3.0] * 3)
    num_steps = 30_000 // num
    counts = counts_of(Turns(weights, "s"), num_steps, num)
    wanted = num * num_steps * weights / weights.sum()
    assert counts[weights == 0].sum() == 0
    # A step of several takes none twice, which moves the heaviest a little.
    assert np.abs(counts - wanted).max() < 0.04 * wanted.max()
    assert counts[1] == pytest.approx(wanted[1], rel=0.25)
    if (
        num == 1
    ):  # nine turns in ten cycles each: a third of the spread of drawing each time anew, the root of the mean
        spread = np.sqrt(np.mean((counts - wanted)[weights == 1.0] ** 2))
        assert spread < 0.5 * np.sqrt(wanted[4])


def test_what_was_drawn_waits_for_the_others_but_for_a_weight_that_has_grown() -> None:
    turns, rng = Turns(np.ones(20), "s"), np.random.default_rng(0)
    (first,), _ = turns.sample(1, NONE, rng), turns.sample(9, NONE, rng)
    turns.set(np.array([first]), np.array([1.0]))
    assert turns._left.weights[first] == 0
    turns.set(np.array([first]), np.array([3.0]))
    assert turns._left.weights[first] == 2
    others = np.setdiff1d(np.arange(20), [first])
    turns.set(others, np.zeros(19))
    assert turns.sample(5, NONE, rng).tolist() == [first]  # a step has it once
    assert turns.sample(5, np.array([first]), rng).tolist() == []
    turns.weigh_all(np.ones(20))
    assert len(turns.sample(20, NONE, rng)) == 20


def test_nothing_has_a_weight() -> None:
    assert Turns(np.zeros(5), "s").sample(3, NONE, np.random.default_rng(0)).tolist() == []
    assert Turns(np.zeros(0), "s").sample(3, NONE, np.random.default_rng(0)).tolist() == []


def test_a_cycle_begun_anew_goes_on_after_a_restore() -> None:
    weights = np.array([1.0, 2.0, 0.5, 0.0, 4.0])
    turns, rng = Turns(weights, "s"), np.random.default_rng(0)
    turns.sample(4, NONE, rng)
    turns.sample(3, NONE, rng)
    again = Turns(weights, "s")
    again.restore(turns.state())
    assert again.state() == turns.state()
    others = [np.random.default_rng(9), np.random.default_rng(9)]
    for _ in range(20):
        assert again.sample(2, NONE, others[0]).tolist() == turns.sample(2, NONE, others[1]).tolist()
