"""Every outcome of a small policy is counted out: what cutting groups short does to the expected gradient."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from rl.algorithm.algorithm import algorithm_of
from rl.algorithm.rollouts.settled_groups import Share, goes_on, shares_of
from rl.recipe.rl_config import RlConfig
from verifiers.errors import BadInput

NUM_SAMPLES, FIRST, FRAC = 4, 2, 0.25
LENGTHS = np.array([3, 1, 2, 5])  # tokens of each of the four responses
POLICIES = [np.exp(z) / np.exp(z).sum() for z in np.array([[0, 0, 0, 0], [2, 1, 0, -1], [3, 2, -2, -2]])]
BINARY, GRADED = np.array([1.0, 1.0, 0.0, 0.0]), np.array([1.0, 1.0, 0.0, 0.5])


def advantages_of(groups: list[np.ndarray], settings: dict[str, Any]) -> list[np.ndarray]:
    """By the real estimator, all groups in one call."""
    config = RlConfig(**settings)
    ids = [f"g{i}" for i, group in enumerate(groups) for _ in group]
    found = algorithm_of(config).estimate(np.concatenate(groups).tolist(), ids, [1] * len(ids)).advantages
    return np.split(np.concatenate(found), np.cumsum([len(group) for group in groups])[:-1])


def expected(
    policy: np.ndarray, rewards: np.ndarray, settings: dict[str, Any], frac: float, weighed: bool = True
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Of one prompt: the gradient in the logits of whole groups and of those that are cut, tokens counted, and samples
    drawn. ``frac`` of 0 is the rule without a coin."""
    outcomes = list(itertools.product(range(4), repeat=NUM_SAMPLES))
    whole_advantages = advantages_of([rewards[list(outcome)] for outcome in outcomes], settings)
    whole, cut = np.zeros(4), np.zeros(4)
    tokens = samples = 0.0
    for outcome, advantages in zip(outcomes, whole_advantages, strict=True):
        probability = np.prod(policy[list(outcome)])
        scores = np.eye(4)[list(outcome)] - policy  # of each response the gradient of its log-probability
        first = rewards[list(outcome)][:FIRST].tolist()
        whole += probability * advantages @ scores
        for coin, chance in ((0.0, frac), (1.0 - 1e-9, 1.0 - frac)):
            drawn = NUM_SAMPLES if goes_on(first, frac, coin) else FIRST
            shares = shares_of(first, NUM_SAMPLES, drawn, frac) if weighed else [Share()] * drawn
            for i in range(drawn):
                advantage = advantages[i] if drawn == NUM_SAMPLES else 0.0  # of rewards that are alike
                cut += probability * chance * shares[i].weight * advantage * scores[i]
                tokens += probability * chance * shares[i].count * LENGTHS[outcome[i]]
            samples += probability * chance * drawn
    return whole, cut, tokens, samples


@pytest.mark.parametrize("rewards", [BINARY, GRADED], ids=["binary", "graded"])
@pytest.mark.parametrize(
    "settings", [{}, {"normalize_by_std": False}, {"advantage": "rloo"}], ids=["grpo", "mean", "rloo"]
)
def test_the_expected_gradient_is_that_of_whole_groups(settings: dict[str, Any], rewards: np.ndarray) -> None:
    """For every policy; so is the number of tokens by which it is divided, at fewer samples."""
    for policy in POLICIES:
        whole, cut, tokens, samples = expected(policy, rewards, settings, FRAC)
        assert np.abs(whole).max() > 1e-3
        np.testing.assert_allclose(cut, whole, atol=1e-6 * np.abs(whole).max())
        assert tokens == pytest.approx(NUM_SAMPLES * policy @ LENGTHS)
        assert samples < NUM_SAMPLES


def test_without_the_coin_it_is_not() -> None:
    """Rewards of 0 and 1: the direction stays and the weight falls, by more the more settled a prompt is. Graded ones:
    the direction changes too. So this rule is not built."""
    weights = []
    for policy in POLICIES:
        whole, cut, *_ = expected(policy, BINARY, {}, 0.0, weighed=False)
        ratios = cut / whole
        np.testing.assert_allclose(ratios, ratios[0], rtol=1e-5)
        weights.append(ratios[0])
    assert 0.6 > weights[0] > weights[1] > weights[2] > FIRST / NUM_SAMPLES
    whole, cut, *_ = expected(POLICIES[0], GRADED, {}, 0.0, weighed=False)
    assert np.ptp(cut / whole) > 0.1


@pytest.mark.parametrize(
    "settings",
    [
        {"settled_after": 8},
        {"settled_after": 4, "dynamic_sampling": True},
        {"settled_after": 4, "loss": {"entropy_coef": 0.1}},
        {"settled_after": 4, "loss": {"kl_coef_verifiable": 0.1}},
    ],
)
def test_settings_under_which_a_cut_group_would_be_missed(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"rl\.settled_after"):
        RlConfig(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"advantage": "reinforce_plus_plus_baseline"},
        {"advantage": "decoupled_gae"},
        {"loss": {"policy_loss": "kl_cov"}},
    ],
)
def test_algorithms_that_may_learn_from_equal_rewards(settings: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=r"rl\.settled_after"):
        algorithm_of(RlConfig(settled_after=4, **settings)).check([])
