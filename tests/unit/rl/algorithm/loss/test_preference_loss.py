"""The Bradley-Terry loss and its coefficients against float64 autograd, and carried by the linear loss however cut."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.algorithm.loss.losses import LINEAR_LOSS, LossInputs, LossSpec, compute_loss
from rl.algorithm.loss.preference_loss import preference_loss, right_frac, score_gradients
from rl.data.batch import StepCounts


def by_autograd(scores: np.ndarray, pairs: np.ndarray) -> tuple[float, np.ndarray]:
    """Every pair by itself, as the definition has it."""
    leaf = torch.tensor(scores, dtype=torch.float64, requires_grad=True)
    losses = [-torch.log(torch.sigmoid(leaf[better] - leaf[worse])) for better, worse in pairs.tolist()]
    loss = torch.stack(losses).mean()
    loss.backward()
    assert leaf.grad is not None
    return float(loss.detach()), leaf.grad.numpy()


@st.composite
def ragged_lists(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Scores of lists of 2 to 6 answers, with some of each list's pairs."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pairs: list[tuple[int, int]] = []
    num_answers = 0
    for size in draw(st.lists(st.integers(2, 6), min_size=1, max_size=8)):
        order = num_answers + rng.permutation(size)
        every = [(int(order[i]), int(order[j])) for i in range(size) for j in range(i + 1, size)]
        pairs += [every[i] for i in rng.permutation(len(every))[: rng.integers(1, len(every) + 1)]]
        num_answers += size
    return rng.normal(scale=3.0, size=num_answers), np.array(pairs)


@settings(max_examples=60, deadline=None)
@given(ragged_lists())
def test_loss_and_gradient_are_those_of_autograd(made: tuple[np.ndarray, np.ndarray]) -> None:
    scores, pairs = made
    loss, gradient = by_autograd(scores, pairs)
    assert preference_loss(scores, pairs) == pytest.approx(loss, rel=1e-6, abs=1e-6)
    np.testing.assert_allclose(score_gradients(scores, pairs), gradient, atol=1e-6, rtol=1e-6)
    assert score_gradients(scores, pairs).sum() == pytest.approx(0.0, abs=1e-6)


def test_by_hand() -> None:
    """Three answers: 0 beats 1 and 2. sigmoid(1) = 0.7311, sigmoid(-1) = 0.2689."""
    scores, pairs = np.array([1.0, 0.0, 2.0]), np.array([[0, 1], [0, 2]])
    expected = (-math.log(0.7310585786) - math.log(0.2689414214)) / 2
    assert preference_loss(scores, pairs) == pytest.approx(expected)
    np.testing.assert_allclose(
        score_gradients(scores, pairs),
        [-(0.2689414214 + 0.7310585786) / 2, 0.2689414214 / 2, 0.7310585786 / 2],
    )
    assert right_frac(scores, pairs) == 0.5
    assert right_frac(np.zeros(3), pairs) == 0.5


def test_no_score_is_too_large() -> None:
    scores, pairs = np.array([2000.0, -2000.0]), np.array([[0, 1], [1, 0]])
    assert preference_loss(scores, pairs) == pytest.approx(2000.0)
    np.testing.assert_allclose(score_gradients(scores, pairs), [0.5, -0.5])


def by_parts(
    network: torch.nn.Module,
    features: torch.Tensor,
    coefficients: np.ndarray,
    parts: list[list[int]],
    num_ranks: int,
) -> None:
    """Backward through the linear loss a micro-batch at a time, each padded with a masked column."""
    for part in parts:
        values = torch.stack([network(features[part])[:, 0], torch.full((len(part),), 7.0).double()], dim=1)
        given = torch.from_numpy(coefficients)[part].double()
        mask = torch.tensor([[1.0, 0.0]] * len(part), dtype=torch.float64)
        inputs = LossInputs(
            mask=mask,
            columns={"coefficients": torch.stack([given, torch.ones_like(given)], dim=1)},
            scalars={},
            counts=StepCounts(len(features), len(features)),
            data_parallel=num_ranks,
            values=values,
        )
        loss, metrics = compute_loss(LossSpec(LINEAR_LOSS), inputs)
        assert metrics == {}
        (loss / num_ranks).backward()  # DeepSpeed takes the mean over ranks


@pytest.mark.parametrize("parts", [[[0, 1, 2, 3, 4]], [[0], [1], [2], [3], [4]], [[3, 1], [4, 0, 2]]])
@pytest.mark.parametrize("num_ranks", [1, 3])
def test_two_passes_give_the_gradient_of_one(parts: list[list[int]], num_ranks: int) -> None:
    """A small network's weights: pairs cut across micro-batches and ranks, against the loss written whole."""
    torch.manual_seed(1)
    network = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)).double()
    features = torch.randn(5, 4, dtype=torch.float64)
    pairs = np.array([[0, 1], [0, 2], [3, 4], [1, 2]])

    scores = network(features)[:, 0]
    whole = torch.stack([-torch.nn.functional.logsigmoid(scores[b] - scores[w]) for b, w in pairs]).mean()
    expected = torch.autograd.grad(whole, list(network.parameters()))

    by_parts(network, features, score_gradients(scores.detach().numpy(), pairs), parts, num_ranks)
    for parameter, gradient in zip(network.parameters(), expected, strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, gradient, atol=1e-6, rtol=1e-6)
