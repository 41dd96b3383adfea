"""Generalized advantages against the literal double sum in plain Python, and against verl's `gae`."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY, compute_gae_advantage_return

import rl.algorithm.advantage.gae
from rl.algorithm.advantage.gae import (
    decoupled_gae,
    generalized_advantage,
    length_adaptive_lambda,
    whitened,
)


def by_definition(rewards: list[float], values: list[float], gamma: float, lam: float) -> list[float]:
    """Sum over l of (gamma lam)^l delta_(t+l) for one response; the value behind its end is 0."""
    behind = [*values[1:], 0.0]
    delta = [r + gamma * after - v for r, after, v in zip(rewards, behind, values, strict=True)]
    return [
        sum((gamma * lam) ** step * delta[t + step] for step in range(len(delta) - t))
        for t in range(len(delta))
    ]


@st.composite
def batches(draw: st.DrawFn, gaps: bool = False) -> dict[str, torch.Tensor]:
    """Right-padded float64 rewards, values and mask; what lies outside the mask is wild. With `gaps`, holes too."""
    lengths = draw(st.lists(st.integers(1, 12), min_size=1, max_size=6).filter(lambda found: sum(found) > 1))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    shape = len(lengths), max(lengths) + draw(st.integers(0, 3))
    mask = np.arange(shape[1]) < np.array(lengths)[:, None]
    if gaps:
        mask &= rng.random(shape) < 0.7
        mask[:, 0] = True
    wild = np.where(mask, 0.0, 1e6 * rng.normal(size=shape))
    columns = {
        "rewards": rng.normal(size=shape) + wild,
        "values": rng.normal(size=shape) + wild,
        "mask": mask,
    }
    return {name: torch.from_numpy(column.astype(np.float64)) for name, column in columns.items()}


numbers = st.one_of(st.just(0.0), st.just(1.0), st.floats(0.01, 1.0))


@settings(max_examples=80, deadline=None)
@given(batches(gaps=True), st.floats(0.5, 1.0), numbers)
def test_is_the_double_sum_over_the_tokens_of_the_mask(
    batch: dict[str, torch.Tensor], gamma: float, lam: float
) -> None:
    got = generalized_advantage(**batch, gamma=gamma, lam=lam)
    for row in range(len(got)):
        inside = batch["mask"][row] > 0
        wanted = by_definition(
            batch["rewards"][row][inside].tolist(), batch["values"][row][inside].tolist(), gamma, lam
        )
        np.testing.assert_allclose(got[row][inside], wanted, rtol=1e-12, atol=1e-12)
        assert not got[row][~inside].any()


@settings(max_examples=60, deadline=None)
@given(batches(), st.floats(0.9, 1.0), numbers, numbers)
def test_each_side_is_verls_gae_with_its_own_lambda(
    batch: dict[str, torch.Tensor], gamma: float, lambda_actor: float, lambda_critic: float
) -> None:
    """Advantages, whitened, of the one; returns of the other."""
    inside = batch["mask"] > 0
    rewards, values, mask = (torch.where(inside, column, 0.0) for column in batch.values())
    advantages, _ = compute_gae_advantage_return(rewards, values, mask, gamma, lambda_actor)
    _, returns = compute_gae_advantage_return(rewards, values, mask, gamma, lambda_critic)
    got, got_returns = decoupled_gae(*batch.values(), gamma, lambda_actor, lambda_critic)
    # verl's mean divides by the count + 1e-8
    np.testing.assert_allclose(got[inside], advantages[inside], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(got_returns[inside], returns[inside], rtol=1e-10, atol=1e-10)
    assert not got[~inside].any() and not got_returns[~inside].any()


@settings(max_examples=40, deadline=None)
@given(batches(), st.sampled_from([torch.float32, torch.float64]), st.sampled_from([0.9, "length_adaptive"]))
def test_padding_changes_nothing(
    batch: dict[str, torch.Tensor], dtype: torch.dtype, lam: float | str
) -> None:
    columns = [column.to(dtype) for column in batch.values()]
    padded = [torch.nn.functional.pad(column, (0, 5), value=0.0) for column in columns]
    padded[0][:, -5:] = torch.nan
    padded[1][:, -5:] = torch.nan
    arguments: dict[str, Any] = {"gamma": 0.99, "lambda_actor": lam, "lambda_critic": 0.8, "whiten": False}
    for got, wanted in zip(
        decoupled_gae(*padded, **arguments), decoupled_gae(*columns, **arguments), strict=True
    ):
        assert got.dtype == dtype
        assert torch.equal(got[:, :-5], wanted)
        assert not got[:, -5:].any()


@settings(max_examples=40, deadline=None)
@given(batches(), st.floats(0.02, 0.5))
def test_length_adaptive_rows_have_their_own_lambda(batch: dict[str, torch.Tensor], alpha: float) -> None:
    """Each row equals the row alone under 1 - 1 / (alpha length), at least 0."""
    got, _ = decoupled_gae(
        *batch.values(), 1.0, "length_adaptive", 1.0, length_adaptive_alpha=alpha, whiten=False
    )
    for row, length in enumerate(batch["mask"].sum(-1).int().tolist()):
        wanted = by_definition(
            batch["rewards"][row, :length].tolist(),
            batch["values"][row, :length].tolist(),
            1.0,
            max(0.0, 1.0 - 1.0 / (alpha * length)),
        )
        np.testing.assert_allclose(got[row, :length], wanted, rtol=1e-10, atol=1e-10)


def test_length_adaptive_lambda_by_hand() -> None:
    """VAPO's alpha: a response of 20 tokens or less has lambda 0; the sum of the weights grows as alpha x length."""
    got = length_adaptive_lambda(torch.tensor([1, 20, 40, 1000, 16384], dtype=torch.float64), 0.05)
    assert got.tolist() == pytest.approx([0.0, 0.0, 0.5, 0.98, 1 - 1 / 819.2])
    assert (1 / (1 - got))[2:].tolist() == pytest.approx([2, 50, 819.2])


def test_monte_carlo_returns() -> None:
    """Gamma and the critic's lambda 1, the reward at the end: every token's return is the reward, at full length."""
    length = 16384
    generator = torch.Generator().manual_seed(0)
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-4)):
        values = torch.rand(2, length, generator=generator).to(dtype)
        rewards = torch.zeros_like(values)
        rewards[:, -1] = torch.tensor([1.0, 0.25], dtype=dtype)
        _, returns = decoupled_gae(rewards, values, torch.ones_like(values), lambda_actor=0.95)
        np.testing.assert_allclose(returns[0], 1.0, atol=tolerance)
        np.testing.assert_allclose(returns[1], 0.25, atol=tolerance)


@settings(max_examples=40, deadline=None)
@given(batches())
def test_whitened_has_mean_0_and_variance_1(batch: dict[str, torch.Tensor]) -> None:
    inside = batch["mask"] > 0
    values = torch.where(inside, batch["values"], 0.0)
    own = values[inside].numpy()
    wanted = (own - own.mean()) / np.sqrt(own.var(ddof=1) + 1e-8)
    got = whitened(values, batch["mask"])
    np.testing.assert_allclose(got[inside], wanted, rtol=1e-9, atol=1e-9)
    assert not got[~inside].any()


def test_whitening_a_single_token_gives_no_signal() -> None:
    assert whitened(torch.tensor([[3.0, 0.0]]), torch.tensor([[1.0, 0.0]])).tolist() == [[0.0, 0.0]]


def test_is_in_verls_registry_also_after_a_second_import() -> None:
    before = ADV_ESTIMATOR_REGISTRY["gae"]
    again = importlib.reload(rl.algorithm.advantage.gae)
    assert ADV_ESTIMATOR_REGISTRY["decoupled_gae"] is again.decoupled_gae
    assert ADV_ESTIMATOR_REGISTRY["gae"] is before
