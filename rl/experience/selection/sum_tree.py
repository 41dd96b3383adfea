"""Weights of which some are drawn in proportion, in O(log N) a draw and a change, by whole arrays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


class SumTree:
    """N weights, 0 or more, as the leaves of a binary tree whose nodes hold the sums below them.

    A node is always the sum of its two children, never brought up to date by a difference: so the tree depends on its
    weights alone, and one that is made anew from them draws alike to the last bit.

    >>> tree = SumTree(np.array([1.0, 0.0, 3.0]))
    >>> tree.total, tree.find(np.array([0.5, 1.0, 3.9])).tolist()
    (4.0, [0, 2, 2])
    """

    def __init__(self, weights: Floats) -> None:
        self._num = len(weights)
        self._depth = max(0, self._num - 1).bit_length()
        self._first = 1 << self._depth  # node of the first leaf; the root is node 1
        self._sums = np.zeros(2 * self._first)
        self._sums[self._first : self._first + self._num] = weights
        for level in reversed(range(self._depth)):
            below = self._sums[2 << level : 4 << level]
            self._sums[1 << level : 2 << level] = below[0::2] + below[1::2]

    def __len__(self) -> int:
        return self._num

    @property
    def total(self) -> float:
        return float(self._sums[1])

    @property
    def weights(self) -> Floats:
        """[N], to be read only."""
        return self._sums[self._first : self._first + self._num]

    def set(self, indices: Indices, weights: Floats | float) -> None:
        """Weights [M] of the leaves at ``indices`` [M], each named once; O(M log N)."""
        if not len(indices):
            return
        self._sums[self._first + indices] = weights
        nodes = np.unique(self._first + indices)
        for _ in range(self._depth):
            nodes = nodes >> 1
            nodes = nodes[np.concatenate([[True], nodes[1:] != nodes[:-1]])]
            self._sums[nodes] = self._sums[2 * nodes] + self._sums[2 * nodes + 1]

    def find(self, places: Floats) -> Indices:
        """The leaves [M] at which the sum of weights passes ``places`` [M], each in [0, total); none of weight 0."""
        left_of = np.asarray(places, np.float64).copy()
        nodes = np.ones(len(left_of), np.int64)
        for _ in range(self._depth):
            left, right = self._sums[2 * nodes], self._sums[2 * nodes + 1]
            goes_right = (left_of >= left) & (right > 0)
            left_of -= np.where(goes_right, left, 0.0)
            nodes = 2 * nodes + goes_right
        return nodes - self._first

    def sample(self, num: int, rng: np.random.Generator) -> Indices:
        """At most ``num`` different leaves in the order drawn, each in proportion among those not yet drawn (successive
        sampling); fewer where fewer have a weight. The tree is as before."""
        drawn = np.zeros(0, np.int64)
        with self._changed():
            while len(drawn) < num and self.total > 0:
                found = self.find(rng.random(num - len(drawn)) * self.total)
                # One drawn again is passed over: what is left is drawn in proportion among the others.
                _, first = np.unique(found, return_index=True)
                new = found[np.sort(first)]
                self._take(new)
                drawn = np.concatenate([drawn, new])
        return drawn

    @contextmanager
    def without(self, indices: Indices) -> Iterator[None]:
        """Meanwhile these leaves have no weight."""
        with self._changed():
            self._take(np.unique(indices))
            yield

    _taken: list[tuple[Indices, Floats]] | None = None

    @contextmanager
    def _changed(self) -> Iterator[None]:
        """Whatever is taken inside is put back at the end."""
        outer, self._taken = self._taken, []
        try:
            yield
        finally:
            for indices, weights in reversed(self._taken):
                self.set(indices, weights)
            self._taken = outer

    def _take(self, indices: Indices) -> None:
        assert self._taken is not None, "inside `_changed`"
        self._taken.append((indices, self.weights[indices].copy()))
        self.set(indices, 0.0)
