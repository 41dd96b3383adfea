"""The critic against a second implementation: transformers in float64 and a linear head, loss written out by hand."""

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
from rl.checkpoint import export_critic
from rl.losses import VALUE_LOSS, LossSpec

RELATIVE = 1e-5
CLIP = 0.2


@pytest.fixture(scope="module")
def critic_hub(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with a value head that is not zero."""
    path = tmp_path_factory.mktemp("critic") / "hub"
    shutil.copytree(tiny_model, path)
    generator = torch.Generator().manual_seed(23)
    save_file(
        {"weight": torch.randn(1, 128, generator=generator) * 0.2, "bias": torch.tensor([0.3])},
        path / VALUE_HEAD_FILE,
    )
    return path


class Reference:
    """Values and value loss by transformers and torch alone, each sequence by itself."""

    def __init__(self, hub: Path, case: Any) -> None:
        from transformers import Qwen3VLMoeForConditionalGeneration

        self.case = case
        self.model: Any = Qwen3VLMoeForConditionalGeneration.from_pretrained(
            hub, dtype=torch.float64, attn_implementation="eager", experts_implementation="eager"
        )
        head = load_file(hub / VALUE_HEAD_FILE)
        self.weight = head["weight"].double().requires_grad_()
        self.bias = head["bias"].double().requires_grad_()

    def values(self) -> torch.Tensor:
        found = []
        for sample in self.case.samples:
            inputs = sample.continued(sample.response, torch.float64)
            hidden = self.model.model(**inputs).last_hidden_state[0, sample.prompt_length - 1 : -1]
            found.append((hidden @ self.weight.T + self.bias)[:, 0])
        return torch.cat(found)

    def loss(self, batch: Any) -> torch.Tensor:
        """Half the larger of the plain and the clipped squared error, token mean (PPO2; VC-PPO keeps it)."""
        values = self.values()
        old, returns, mask = (
            torch.from_numpy(column).double() for column in (batch.old_values, batch.returns, batch.loss_mask)
        )
        total = torch.zeros((), dtype=torch.float64)
        for t in range(len(values)):
            clipped = torch.clamp(values[t], old[t] - CLIP, old[t] + CLIP)
            error = torch.maximum((values[t] - returns[t]) ** 2, (clipped - returns[t]) ** 2)
            total = total + mask[t] * error / 2
        return total / mask.sum()

    def gradient_norm(self, loss: torch.Tensor) -> float:
        loss.backward()
        gradients = [p.grad for p in (*self.model.parameters(), self.weight, self.bias) if p.grad is not None]
        return float(torch.sqrt(sum((one**2).sum() for one in gradients)))


@pytest.fixture(scope="module")
def truth(critic_hub: Path, case: Any) -> tuple[Any, np.ndarray, float, float]:
    """A batch with returns and old values, some of them past the clip; the reference's values, loss, gradient norm."""
    reference = Reference(critic_hub, case)
    values = reference.values().detach().numpy()
    rng = np.random.default_rng(29)
    old = values + rng.normal(0, 0.3, len(values))
    assert (np.abs(values - old) > CLIP).any()
    batch = case.batch.replace(
        old_values=old.astype(np.float32), returns=rng.uniform(0, 1, len(values)).astype(np.float32)
    )
    loss = reference.loss(batch)
    return batch, values, float(loss.detach()), reference.gradient_norm(loss)


@pytest.mark.parametrize(
    ("num_ranks", "settings"),
    [
        pytest.param(1, {"zero_stage": 1}, id="zero1"),
        pytest.param(2, {"zero_stage": 2, "micro_batch_tokens": 1}, id="zero2-2ranks-one-sequence-each"),
        pytest.param(2, {"zero_stage": 3}, id="zero3-2ranks"),
        pytest.param(1, {"zero_stage": 1, "layout": "packed"}, id="packed"),
    ],
)
def test_values_loss_and_gradient(
    new_trainer: Callable[..., Any],
    critic_hub: Path,
    truth: tuple[Any, np.ndarray, float, float],
    num_ranks: int,
    settings: dict[str, Any],
) -> None:
    batch, values, loss, norm = truth
    trainer = new_trainer(num_ranks, **settings)
    trainer.load_critic(critic_hub)
    np.testing.assert_allclose(trainer.values(batch), values, rtol=1e-5, atol=1e-5)
    metrics = trainer.update([batch], [0.0], LossSpec(VALUE_LOSS, value_clip=CLIP))[0]
    assert metrics["loss"] == pytest.approx(loss, rel=RELATIVE)
    assert metrics["grad_norm"] == pytest.approx(norm, rel=RELATIVE)


def test_the_critic_learns_and_the_policy_stays(
    new_trainer: Callable[..., Any], tiny_model: Path, case: Any, tmp_path: Path
) -> None:
    """From a policy's checkpoint values start at 0; the critic's steps fit returns and move no weight of the policy."""
    trainer = new_trainer(1)
    trainer.load_critic(tiny_model)
    assert not trainer.values(case.batch).any()
    before, _ = trainer.logprobs(case.batch)
    rng = np.random.default_rng(31)
    batch = case.batch.replace(returns=rng.uniform(0, 1, len(case.batch.returns)).astype(np.float32))
    losses = [trainer.update([batch], [3e-3], LossSpec(VALUE_LOSS))[0]["loss"] for _ in range(25)]
    assert losses[-1] < 0.3 * losses[0]
    after, _ = trainer.logprobs(case.batch)
    np.testing.assert_array_equal(before, after)

    export_critic(trainer, tiny_model, tmp_path / "critic")
    fitted = trainer.values(batch)
    trainer.load_critic(tiny_model)
    assert not trainer.values(batch).any()
    trainer.load_critic(tmp_path / "critic")
    np.testing.assert_array_equal(trainer.values(batch), fitted)


def test_a_checkpoint_brings_back_both(
    new_trainer: Callable[..., Any], tiny_model: Path, case: Any, tmp_path: Path
) -> None:
    batch = case.batch.replace(returns=np.ones_like(case.batch.returns))

    def steps(trainer: Any, num: int) -> None:
        for _ in range(num):
            trainer.update([batch], [1e-3], LossSpec(VALUE_LOSS))
            trainer.update([batch], [1e-3], LossSpec())

    whole = new_trainer(1)
    whole.load_critic(tiny_model)
    steps(whole, 2)
    whole.save_checkpoint(tmp_path / "saved")
    steps(whole, 2)

    again = new_trainer(1)
    again.load_critic(tiny_model)
    again.load_checkpoint(tmp_path / "saved")
    steps(again, 2)
    np.testing.assert_array_equal(again.values(batch), whole.values(batch))
    np.testing.assert_array_equal(again.logprobs(batch)[0], whole.logprobs(batch)[0])
