"""Advantages against numpy by hand: ragged lengths, groups of different sizes in any order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rl.algorithm.advantage.advantages import Advantages, kl_token_rewards
from rl.algorithm.algorithm import Algorithm
from rl.recipe.rl_config import RlConfig
from verifiers.errors import BadInput

REWARDS = [1.0, 0.0, 0.25, 0.5, 0.0, 1.0, 1.0, 0.75, 0.0]
GROUPS = ["a", "b", "a", "c", "b", "a", "b", "c", "b"]
LENGTHS = [3, 1, 7, 2, 5, 1, 4, 2, 6]


def compute_advantages(
    name: str,
    rewards: list[float],
    groups: list[str],
    lengths: list[int],
    *,
    columns: Any = None,
    **settings: Any,
) -> Advantages:
    """By the algorithm of a recipe with that estimator and those settings."""
    algorithm = Algorithm(RlConfig(advantage=name, **settings))
    return algorithm.estimate(rewards, groups, lengths, **columns or {})


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
    got = compute_advantages(name, REWARDS, GROUPS, LENGTHS, normalize_by_std=by_std).advantages
    assert [len(one) for one in got] == LENGTHS
    for group in "abc":
        members = [i for i, name_ in enumerate(GROUPS) if name_ == group]
        wanted = formula(np.array(REWARDS)[members], np.array(LENGTHS, float)[members])
        for i, value in zip(members, wanted, strict=True):
            np.testing.assert_allclose(got[i], np.full(LENGTHS[i], value), rtol=1e-5, atol=1e-6)
    assert all(one.dtype == np.float32 for one in got)


def test_a_group_of_equal_rewards_teaches_nothing() -> None:
    for name in ("grpo", "rloo"):
        for one in compute_advantages(name, [0.5] * 4, ["a"] * 4, [1, 2, 3, 4]).advantages:
            np.testing.assert_array_equal(one, 0.0)


def test_order_of_rows_does_not_matter() -> None:
    order = np.random.default_rng(0).permutation(len(REWARDS))
    got = compute_advantages("grpo", REWARDS, GROUPS, LENGTHS).advantages
    shuffled = compute_advantages(
        "grpo", [REWARDS[i] for i in order], [GROUPS[i] for i in order], [LENGTHS[i] for i in order]
    ).advantages
    for index, i in enumerate(order):
        np.testing.assert_allclose(shuffled[index], got[i], rtol=1e-6)


def test_a_single_response_is_refused_where_groups_are_compared() -> None:
    with pytest.raises(BadInput, match=r"prompt b has a single judged response.*samples_per_prompt"):
        compute_advantages("grpo", [1.0, 0.0, 1.0], ["a", "a", "b"], [2, 2, 2])


def test_unknown_name() -> None:
    with pytest.raises(BadInput, match=r"rl\.advantage='grop' is unknown; did you mean 'grpo'\? \(known: "):
        compute_advantages("grop", [1.0, 0.0], ["a", "a"], [1, 1])


def generalized(rewards: list[float], values: np.ndarray, gamma: float, lam: float) -> np.ndarray:
    """The double sum over TD errors, for one response in float64."""
    delta = np.array(rewards) + gamma * np.append(values[1:], 0.0) - values
    return np.array(
        [sum((gamma * lam) ** (k - t) * delta[k] for k in range(t, len(delta))) for t in range(len(delta))]
    )


@pytest.fixture
def values() -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [rng.normal(size=length).astype(np.float32) for length in LENGTHS]


@pytest.mark.parametrize("lambda_actor", [0.95, 1.0, "length_adaptive"])
@pytest.mark.parametrize("whiten", [True, False])
def test_decoupled_gae_by_hand(values: list[np.ndarray], lambda_actor: float | str, whiten: bool) -> None:
    got = compute_advantages(
        "decoupled_gae",
        REWARDS,
        GROUPS,
        LENGTHS,
        columns={"values": values},
        gamma=0.98,
        lambda_actor=lambda_actor,
        lambda_critic=0.9,
        length_adaptive_alpha=0.5,
        whiten_advantages=whiten,
    )
    wanted, returns = [], []
    for reward, length, own in zip(REWARDS, LENGTHS, values, strict=True):
        rewards = [0.0] * (length - 1) + [reward]
        lam = max(0.0, 1 - 1 / (0.5 * length)) if isinstance(lambda_actor, str) else lambda_actor
        wanted.append(generalized(rewards, own.astype(float), 0.98, lam))
        returns.append(generalized(rewards, own.astype(float), 0.98, 0.9) + own)
    flat = np.concatenate(wanted)
    if whiten:
        flat = (flat - flat.mean()) / flat.std(ddof=1)
    np.testing.assert_allclose(np.concatenate(got.advantages), flat, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.concatenate(got.returns), np.concatenate(returns), rtol=1e-5, atol=1e-6)
    for columns in (got.advantages, got.returns):
        assert [(len(one), one.dtype) for one in columns] == [(length, np.float32) for length in LENGTHS]


def test_gae_is_decoupled_gae_with_one_lambda(values: list[np.ndarray]) -> None:
    settings = {"gamma": 0.97, "lambda_actor": 0.9, "lambda_critic": 0.9}
    one, other = (
        compute_advantages(name, REWARDS, GROUPS, LENGTHS, columns={"values": values}, **settings)
        for name in ("gae", "decoupled_gae")
    )
    for mine, its in zip(one.advantages + one.returns, other.advantages + other.returns, strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["gae", "decoupled_gae"])
def test_a_critics_values_are_asked_for(name: str) -> None:
    with pytest.raises(BadInput, match=rf"rl\.advantage='{name}' needs a critic's values"):
        compute_advantages(name, REWARDS, GROUPS, LENGTHS)


def test_token_rewards_are_added_to_the_outcome(values: list[np.ndarray]) -> None:
    """To each token's own reward under a critic; to the response's reward where only its sum counts."""
    rng = np.random.default_rng(6)
    extra = [rng.normal(size=length).astype(np.float32) for length in LENGTHS]
    before = [one.copy() for one in extra]
    got = compute_advantages(
        "decoupled_gae",
        REWARDS,
        GROUPS,
        LENGTHS,
        columns={"values": values, "token_rewards": extra},
        whiten_advantages=False,
    )
    for own, reward, returns in zip(extra, REWARDS, got.returns, strict=True):
        np.testing.assert_allclose(returns, own[::-1].cumsum()[::-1] + reward, rtol=1e-4, atol=1e-5)
    grouped = compute_advantages("grpo", REWARDS, GROUPS, LENGTHS, columns={"token_rewards": extra})
    totals = [reward + float(own.sum()) for reward, own in zip(REWARDS, extra, strict=True)]
    for mine, its in zip(
        grouped.advantages, compute_advantages("grpo", totals, GROUPS, LENGTHS).advantages, strict=True
    ):
        np.testing.assert_allclose(mine, its, rtol=1e-4, atol=1e-5)
    for one, other in zip(extra, before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_discount_reaches_the_estimators_without_a_critic() -> None:
    got = compute_advantages("reinforce_plus_plus", [1.0, 0.0], ["a", "b"], [3, 2], gamma=0.5)
    np.testing.assert_allclose(got.returns[0], [0.25, 0.5, 1.0])


@pytest.mark.parametrize(
    ("estimator", "formula"),
    [
        ("k1", lambda d: d),
        ("abs", np.abs),
        ("k2", lambda d: d * d / 2),
        ("k3", lambda d: np.exp(-d) - 1 + d),
    ],
)
def test_kl_as_a_reward(estimator: str, formula: Callable[[np.ndarray], np.ndarray]) -> None:
    rng = np.random.default_rng(7)
    own, ref = ([rng.normal(size=n).astype(np.float32) for n in (3, 5)] for _ in range(2))
    got = kl_token_rewards(own, ref, [0.5, 0.0], estimator)
    wanted = -0.5 * formula(own[0].astype(float) - ref[0].astype(float))
    np.testing.assert_allclose(got[0], wanted, rtol=1e-5, atol=1e-6)
    assert got[0].dtype == np.float32
    np.testing.assert_array_equal(got[1], np.zeros(5))


@pytest.mark.parametrize("estimator", ["k1", "k3"])
def test_which_kl_an_estimator_in_the_reward_descends(estimator: str) -> None:
    """Every token that the policy may say, as often as it says it: the policy gradient against autograd's."""
    import torch

    logits = torch.tensor([0.9, -0.3, 0.2, -1.0], dtype=torch.float64, requires_grad=True)
    policy = logits.log_softmax(-1)
    reference = torch.tensor([-0.2, 0.1, 0.5, 0.0], dtype=torch.float64).log_softmax(-1)
    now = policy.detach()
    rewards = kl_token_rewards([now.numpy()], [reference.numpy()], [1.0], estimator)[0]
    kl = (policy.exp() * (policy - reference)).sum()
    if estimator == "k3":
        kl = kl - (reference.exp() * (reference - policy)).sum()
    descent = -(now.exp() * torch.from_numpy(rewards) * policy).sum()
    found, wanted = (torch.autograd.grad(loss, logits, retain_graph=True)[0] for loss in (descent, kl))
    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)
