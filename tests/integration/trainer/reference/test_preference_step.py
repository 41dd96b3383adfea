"""A step of the scalar reward model against a second implementation: transformers in float64, the loss pair by pair."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rl.data.batch import Batch
from rl.data.token_sequence import TokenSequence
from rl.stages.supervised.reward_objective import preference_step
from rl.trainer.export import export_critic

RELATIVE = 1e-5


@pytest.fixture(scope="module")
def scalar_hub(with_value_head: Callable[..., Path]) -> Path:
    """The tiny model with a head whose scores spread over a few units."""
    return with_value_head(seed=37, bias=-0.4)


@pytest.fixture(scope="module")
def batch(case: Any) -> Batch:
    """The case's sequences, ragged and with none to three pictures, whose last token alone is learnt from."""
    sequences = []
    for index, sample in enumerate(case.samples):
        prompt_id = case.batch.prompt_ids[index]
        sequences.append(
            TokenSequence.of_response(
                f"a{index}",
                prompt_id,
                sample.token_ids[:-1].numpy(),
                sample.token_ids[-1:].numpy(),
                vision_inputs=case.vision_inputs.get(prompt_id, ()),
            )
        )
    return Batch.of(sequences)


@pytest.fixture(scope="module")
def pairs(case: Any) -> np.ndarray:
    """Every pair of every group, in an order of their own: an answer stands in up to three."""
    groups: dict[str, list[int]] = {}
    for index, prompt_id in enumerate(case.batch.prompt_ids):
        groups.setdefault(prompt_id, []).append(index)
    rng = np.random.default_rng(41)
    every = [(a, b) for group in groups.values() for i, a in enumerate(group) for b in group[:i]]
    return np.array([every[i] for i in rng.permutation(len(every))])


@pytest.fixture(scope="module")
def truth(
    scalar_hub: Path, case: Any, pairs: np.ndarray, transformers_model: Callable[..., Any]
) -> tuple[np.ndarray, float, float]:
    """Scores, loss and gradient norm by transformers and torch alone."""
    transformers = transformers_model(scalar_hub)
    scores = []
    for sample in case.samples:
        hidden = transformers.model.model(**sample.given(torch.float64)).last_hidden_state
        scores.append(transformers.on_hidden_states(hidden[0, -2]))  # which has not seen the last token
    losses = [-torch.nn.functional.logsigmoid(scores[better] - scores[worse]) for better, worse in pairs]
    loss = torch.stack(losses).mean()
    norm = transformers.gradient_norm(loss)
    return torch.stack(scores).detach().numpy(), float(loss.detach()), norm


def test_scores_loss_and_gradient(
    cut_trainer: Any,
    scalar_hub: Path,
    batch: Batch,
    pairs: np.ndarray,
    truth: tuple[np.ndarray, float, float],
) -> None:
    """However the pairs are cut apart by micro-batches and ranks."""
    scores, loss, norm = truth
    cut_trainer.load_critic(scalar_hub)
    np.testing.assert_allclose(cut_trainer.values(batch), scores, rtol=1e-5, atol=1e-5)
    metrics = preference_step(cut_trainer, batch, pairs, 0.0)
    assert metrics["loss"] == pytest.approx(loss, rel=RELATIVE)
    assert metrics["grad_norm"] == pytest.approx(norm, rel=RELATIVE)
    margins = scores[pairs[:, 0]] - scores[pairs[:, 1]]
    assert metrics["pair_accuracy_frac"] == (margins > 0).mean()


def test_it_learns_from_a_policy_and_a_critic_starts_from_it(
    new_trainer: Callable[..., Any],
    tiny_model: Path,
    batch: Batch,
    pairs: np.ndarray,
    case: Any,
    tmp_path: Path,
) -> None:
    trainer = new_trainer(1)
    trainer.load_critic(tiny_model)
    steps = [preference_step(trainer, batch, pairs, 2e-3) for _ in range(25)]
    assert steps[0]["loss"] == pytest.approx(np.log(2))
    assert steps[-1]["loss"] < 0.3 * steps[0]["loss"] and steps[-1]["pair_accuracy_frac"] > 0.9

    export_critic(trainer, tiny_model, tmp_path / "model")
    learnt, values = trainer.values(batch), trainer.values(case.batch)
    critic = new_trainer(1)
    critic.load_critic(tmp_path / "model")
    np.testing.assert_array_equal(critic.values(batch), learnt)
    np.testing.assert_array_equal(critic.values(case.batch), values)
