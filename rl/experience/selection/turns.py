"""Weighted draws that go round: in a cycle every prompt comes as often as its weight is worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rl.experience.selection.sum_tree import Floats, Indices, SumTree


class Turns:
    """N weights, 0 or more, of which some are drawn in cycles. In a cycle each has as many turns as its weight is of
    the mean weight above 0; a part of a turn is a whole one or none, by chance. So equal weights make epochs in a
    random order. Drawn each time anew instead, some would come twice before others came once.

    A weight that changes within a cycle changes the turns that are left in it; those taken stay taken. A draw and a
    change take O(log N), a cycle O(N).

    >>> turns = Turns(np.array([1.0, 0.0, 1.0, 1.0]), "seed")
    >>> sorted(turns.sample(3, np.array([], int), np.random.default_rng(0)).tolist())
    [0, 2, 3]
    """

    def __init__(self, weights: Floats, seed: str) -> None:
        self.weights = weights.copy()
        self._seed = seed
        self._begin(0)

    def _begin(self, cycle: int) -> None:
        self._cycle = cycle
        above = self.weights[self.weights > 0]
        self._mean = float(above.mean()) if len(above) else 1.0
        self._taken = np.zeros(len(self.weights), np.int64)
        self._deal()

    def _deal(self) -> None:
        rng = np.random.default_rng(list(f"{self._seed} cycle {self._cycle}".encode()))
        self._chance = rng.random(len(self.weights))
        self._left = SumTree(self._left_of(slice(None)))

    def _left_of(self, which: Indices | slice) -> Floats:
        # A chance is below 1: a weight of 0 has no turn.
        dealt = np.floor(self.weights[which] / self._mean + self._chance[which])
        left: Floats = np.maximum(dealt - self._taken[which], 0)
        return left

    def weigh_all(self, weights: Floats) -> None:
        """Weights [N]; of a cycle of which none was taken yet the mean is theirs."""
        self.weights = weights.copy()
        if self._taken.any():
            self._deal()
        else:
            self._begin(self._cycle)

    def set(self, indices: Indices, weights: Floats) -> None:
        """Weights [M] of ``indices`` [M], each named once."""
        self.weights[indices] = weights
        self._left.set(indices, self._left_of(indices))

    def sample(self, num: int, tried: Indices, rng: np.random.Generator) -> Indices:
        """At most ``num`` different ones, none of ``tried``: of the turns that are left, then of a new cycle's."""
        found = self._take(num, tried, rng)
        if len(found) == num:
            return found
        self._begin(self._cycle + 1)
        return np.concatenate([found, self._take(num - len(found), np.concatenate([tried, found]), rng)])

    def _take(self, num: int, tried: Indices, rng: np.random.Generator) -> Indices:
        with self._left.without(tried):
            found = self._left.sample(num, rng)
        self._taken[found] += 1
        self._left.set(found, self._left_of(found))
        return found

    def state(self) -> dict[str, Any]:
        """Plain JSON, without the weights."""
        taken = np.flatnonzero(self._taken)
        counts = self._taken[taken].tolist()
        return {"cycle": self._cycle, "mean": self._mean, "taken": taken.tolist(), "counts": counts}

    def restore(self, state: Mapping[str, Any]) -> None:
        """As it was when ``state`` was taken, to the last bit, where the weights are as they were."""
        self._cycle, self._mean = state["cycle"], state["mean"]
        self._taken.fill(0)
        self._taken[np.array(state["taken"], np.int64)] = state["counts"]
        self._deal()
