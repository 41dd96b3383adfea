"""A step of the scalar reward model against a second implementation: transformers in float64, the loss pair by pair."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from reward_models.value_head import VALUE_HEAD_FILE
from rl.batch import TrainBatch, TrainSequence
from rl.checkpoint import export_critic
from rl.preference_step import preference_step

RELATIVE = 1e-5


@pytest.fixture(scope="module")
def scalar_hub(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with a head whose scores spread over a few units."""
    path = tmp_path_factory.mktemp("scalar") / "hub"
    shutil.copytree(tiny_model, path)
    generator = torch.Generator().manual_seed(37)
    weight = torch.randn(1, 128, generator=generator) * 0.2
    save_file({"weight": weight, "bias": torch.tensor([-0.4])}, path / VALUE_HEAD_FILE)
    return path


@pytest.fixture(scope="module")
def batch(case: Any) -> TrainBatch:
    """The case's sequences, ragged and with none to three pictures, whose last token alone is a response."""
    sequences = []
    for place, sample in enumerate(case.samples):
        tokens = np.concatenate([sample.inputs["input_ids"][0].numpy(), sample.response]).astype(np.int32)
        prompt_id = case.batch.prompt_ids[place]
        sequences.append(
            TrainSequence(
                f"a{place}", prompt_id, tokens, len(tokens) - 1, visuals=case.visuals.get(prompt_id, ())
            )
        )
    return TrainBatch.of(sequences)


@pytest.fixture(scope="module")
def pairs(case: Any) -> np.ndarray:
    """Every pair of every group, in an order of their own: an answer stands in up to three."""
    groups: dict[str, list[int]] = {}
    for place, prompt_id in enumerate(case.batch.prompt_ids):
        groups.setdefault(prompt_id, []).append(place)
    rng = np.random.default_rng(41)
    every = [(a, b) for group in groups.values() for i, a in enumerate(group) for b in group[:i]]
    return np.array([every[i] for i in rng.permutation(len(every))])


@pytest.fixture(scope="module")
def truth(scalar_hub: Path, case: Any, pairs: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Scores, loss and gradient norm by transformers and torch alone."""
    from transformers import Qwen3VLMoeForConditionalGeneration

    model: Any = Qwen3VLMoeForConditionalGeneration.from_pretrained(
        scalar_hub, dtype=torch.float64, attn_implementation="eager", experts_implementation="eager"
    )
    head = load_file(scalar_hub / VALUE_HEAD_FILE)
    weight, bias = (head[name].double().requires_grad_() for name in ("weight", "bias"))
    scores = []
    for sample in case.samples:
        inputs = sample.continued(sample.response[:-1], torch.float64)
        scores.append((model.model(**inputs).last_hidden_state[0, -1] @ weight.T + bias)[0])
    losses = [-torch.nn.functional.logsigmoid(scores[better] - scores[worse]) for better, worse in pairs]
    loss = torch.stack(losses).mean()
    loss.backward()
    gradients = [one.grad for one in (*model.parameters(), weight, bias) if one.grad is not None]
    norm = float(torch.sqrt(sum((one**2).sum() for one in gradients)))
    return torch.stack(scores).detach().numpy(), float(loss.detach()), norm


@pytest.mark.parametrize(
    ("num_ranks", "settings"),
    [
        pytest.param(1, {"zero_stage": 1}, id="zero1"),
        pytest.param(2, {"zero_stage": 2, "micro_batch_tokens": 1}, id="zero2-2ranks-one-sequence-each"),
        pytest.param(2, {"zero_stage": 3}, id="zero3-2ranks"),
        pytest.param(1, {"zero_stage": 1, "layout": "packed"}, id="packed"),
    ],
)
def test_scores_loss_and_gradient(
    new_trainer: Callable[..., Any],
    scalar_hub: Path,
    batch: TrainBatch,
    pairs: np.ndarray,
    truth: tuple[np.ndarray, float, float],
    num_ranks: int,
    settings: dict[str, Any],
) -> None:
    """However the pairs are cut apart by micro-batches and ranks."""
    scores, loss, norm = truth
    trainer = new_trainer(num_ranks, **settings)
    trainer.load_critic(scalar_hub)
    np.testing.assert_allclose(trainer.values(batch), scores, rtol=1e-5, atol=1e-5)
    metrics = preference_step(trainer, batch, pairs, 0.0)
    assert metrics["loss"] == pytest.approx(loss, rel=RELATIVE)
    assert metrics["grad_norm"] == pytest.approx(norm, rel=RELATIVE)
    margins = scores[pairs[:, 0]] - scores[pairs[:, 1]]
    assert metrics["pair_accuracy_frac"] == (margins > 0).mean()


def test_it_learns_from_a_policy_and_a_critic_starts_from_it(
    new_trainer: Callable[..., Any],
    tiny_model: Path,
    batch: TrainBatch,
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
