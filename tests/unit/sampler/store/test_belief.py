"""Posteriors against scipy's Beta distribution and counting by hand; what is called unknown."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import beta

from sampler.store.belief import Belief, believed
from sampler.store.prompt_store import PromptStore


def test_intervals_are_those_of_the_beta_distribution() -> None:
    right, wrong = np.array([1.0, 3.5, 40.0]), np.array([2.0, 0.5, 60.0])
    low, high = Belief(right, wrong).interval(0.8)
    for i in range(3):
        posterior = beta(right[i] + 0.5, wrong[i] + 0.5)
        assert (low[i], high[i]) == pytest.approx(posterior.interval(0.8))
        assert Belief(right, wrong).mean[i] == pytest.approx(posterior.mean())


def test_few_samples_decide_nothing() -> None:
    counts = {(0, 4): "unknown", (0, 30): "hopeless", (4, 0): "unknown", (30, 0): "solved", (3, 3): "in between",
              (1, 7): "unknown", (0, 0): "unknown"}  # fmt: skip
    right, wrong = np.array(list(counts), np.float64).T
    assert list(Belief(right, wrong).standing) == list(counts.values())


def test_an_interval_reaches_the_end_that_nothing_speaks_against() -> None:
    low, high = Belief(np.array([0.0, 5.0]), np.array([5.0, 0.0])).interval()
    assert (low[0], high[1]) == (0.0, 1.0)


def test_older_policies_count_less(store: Callable[..., PromptStore]) -> None:
    """Right twice at version 0, wrong twice at 8: with a half-life of 4 the old ones are worth half a sample."""
    attempts = [("a", 0, [1.0, 1.0]), ("a", 8, [0.0, 0.0]), ("b", 4, [1.0, 0.0, None]), ("c", 8, [None])]
    with store(attempts) as opened:
        rows = {row["prompt_id"]: row for row in believed(opened, "run", half_life=4.0).to_pylist()}
        ever = believed(opened, "run", half_life=1e12).to_pylist()
        of_stage = believed(opened, "run", where="stage = '08-rl'").to_pylist()
    assert (rows["a"]["num_right"], rows["a"]["num_wrong"], rows["a"]["n"]) == (0.5, 2.0, 4)
    assert rows["a"]["mean"] == pytest.approx(1.0 / 3.5)
    assert (rows["b"]["num_right"], rows["b"]["num_wrong"], rows["b"]["n"]) == (0.5, 0.5, 2)
    assert "c" not in rows  # no decision: nothing is known
    assert (ever[0]["num_right"], ever[0]["num_wrong"]) == pytest.approx((2.0, 2.0))
    assert [row["prompt_id"] for row in of_stage] == ["a"]
