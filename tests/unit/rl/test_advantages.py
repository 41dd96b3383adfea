"""Advantages against numpy by hand: ragged lengths, groups of different sizes in any order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from rl.advantages import compute_advantages
from verifiers.errors import BadInput

REWARDS = [1.0, 0.0, 0.25, 0.5, 0.0, 1.0, 1.0, 0.75, 0.0]
GROUPS = ["a", "b", "a", "c", "b", "a", "b", "c", "b"]
LENGTHS = [3, 1, 7, 2, 5, 1, 4, 2, 6]


def grpo(rewards: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    return (rewards - rewards.mean()) / (rewards.std(ddof=1) + 1e-6)


def dr_grpo(rewards: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    return rewards - rewards.mean()


def rloo(rewards: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Each against the mean of the others."""
    return np.array([reward - np.delete(rewards, i).mean() for i, reward in enumerate(rewards)])


def opo(rewards: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The baseline weighs rewards by length (2505.23585)."""
    return rewards - (rewards * lengths).sum() / lengths.sum()


@pytest.mark.parametrize(
    ("name", "by_std", "formula"),
    [
        ("grpo", True, grpo),
        ("grpo", False, dr_grpo),
        ("grpo_vectorized", True, grpo),
        ("rloo", True, rloo),
        ("rloo_vectorized", True, rloo),
        ("opo", True, opo),
    ],
)
def test_by_hand(name: str, by_std: bool, formula: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> None:
    got = compute_advantages(name, REWARDS, GROUPS, LENGTHS, normalize_by_std=by_std)
    assert [len(one) for one in got] == LENGTHS
    for group in "abc":
        members = [i for i, name_ in enumerate(GROUPS) if name_ == group]
        wanted = formula(np.array(REWARDS)[members], np.array(LENGTHS, float)[members])
        for i, value in zip(members, wanted, strict=True):
            np.testing.assert_allclose(got[i], np.full(LENGTHS[i], value), rtol=1e-5, atol=1e-6)
    assert all(one.dtype == np.float32 for one in got)


def test_a_group_of_equal_rewards_teaches_nothing() -> None:
    for name in ("grpo", "rloo"):
        for one in compute_advantages(name, [0.5] * 4, ["a"] * 4, [1, 2, 3, 4]):
            np.testing.assert_array_equal(one, 0.0)


def test_order_of_rows_does_not_matter() -> None:
    order = np.random.default_rng(0).permutation(len(REWARDS))
    got = compute_advantages("grpo", REWARDS, GROUPS, LENGTHS)
    shuffled = compute_advantages(
        "grpo", [REWARDS[i] for i in order], [GROUPS[i] for i in order], [LENGTHS[i] for i in order]
    )
    for place, i in enumerate(order):
        np.testing.assert_allclose(shuffled[place], got[i], rtol=1e-6)


def test_a_single_response_is_refused_where_groups_are_compared() -> None:
    with pytest.raises(BadInput, match=r"prompt b has a single judged response.*samples_per_prompt"):
        compute_advantages("grpo", [1.0, 0.0, 1.0], ["a", "a", "b"], [2, 2, 2])


def test_unknown_name() -> None:
    with pytest.raises(BadInput, match=r"rl\.advantage='grop' is unknown; verl has .*grpo"):
        compute_advantages("grop", [1.0, 0.0], ["a", "a"], [1, 1])
