"""The critic against a second implementation: transformers in float64 and a linear head, loss written out by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rl.algorithm.loss.losses import VALUE_LOSS, LossSpec
from rl.trainer.export import export_critic

RELATIVE = 1e-5
CLIP = 0.2


@pytest.fixture(scope="module")
def critic_hub(with_value_head: Callable[..., Path]) -> Path:
    """The tiny model with a value head that is not zero."""
    return with_value_head(seed=23, bias=0.3)


class Reference:
    """Values and value loss by transformers and torch alone, each sequence by itself."""

    def __init__(self, transformers: Any, case: Any) -> None:
        self.case = case
        self.transformers = transformers

    def values(self) -> torch.Tensor:
        found = []
        for sample in self.case.samples:
            hidden = self.transformers.model.model(**sample.given(torch.float64)).last_hidden_state
            found.append(self.transformers.on_hidden_states(hidden[0, sample.learnt - 1]))
        return torch.cat(found)

    def loss(self, batch: Any) -> torch.Tensor:
        """Half the larger of the plain and the clipped squared error, token mean (PPO2; VC-PPO keeps it)."""
        values = self.values()
        old, returns = (torch.from_numpy(batch.column(name)).double() for name in ("old_values", "returns"))
        total = torch.zeros((), dtype=torch.float64)
        for t in range(len(values)):
            clipped = torch.clamp(values[t], old[t] - CLIP, old[t] + CLIP)
            error = torch.maximum((values[t] - returns[t]) ** 2, (clipped - returns[t]) ** 2)
            total = total + error / 2
        return total / len(values)


@pytest.fixture(scope="module")
def truth(
    critic_hub: Path, case: Any, transformers_model: Callable[..., Any]
) -> tuple[Any, np.ndarray, float, float]:
    """A batch with returns and old values, some of them past the clip; the reference's values, loss, gradient norm."""
    transformers = transformers_model(critic_hub)
    reference = Reference(transformers, case)
    values = reference.values().detach().numpy()
    rng = np.random.default_rng(29)
    old = values + rng.normal(0, 0.3, len(values))
    assert (np.abs(values - old) > CLIP).any()
    batch = case.batch.with_columns(
        old_values=old.astype(np.float32), returns=rng.uniform(0, 1, len(values)).astype(np.float32)
    )
    loss = reference.loss(batch)
    return batch, values, float(loss.detach()), transformers.gradient_norm(loss)


def test_values_loss_and_gradient(
    cut_trainer: Any, critic_hub: Path, truth: tuple[Any, np.ndarray, float, float]
) -> None:
    batch, values, loss, norm = truth
    cut_trainer.load_critic(critic_hub)
    np.testing.assert_allclose(cut_trainer.values(batch), values, rtol=1e-5, atol=1e-5)
    metrics = cut_trainer.update([batch], [0.0], LossSpec(VALUE_LOSS, value_clip=CLIP))[0]
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
    batch = case.batch.with_columns(returns=rng.uniform(0, 1, int(case.batch.learnt.sum())))
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


def test_a_critic_that_is_dropped_leaves_nothing(
    new_trainer: Callable[..., Any], tiny_model: Path, case: Any, tmp_path: Path
) -> None:
    """No file of a checkpoint; and one that is made anew is as the first was, also under ZeRO-3."""
    batch = case.batch.with_columns(returns=np.ones(int(case.batch.learnt.sum())))
    trainer = new_trainer(1, zero_stage=3)

    def learnt() -> tuple[np.ndarray, np.ndarray]:
        trainer.load_critic(tiny_model)
        trainer.update([batch], [1e-3], LossSpec(VALUE_LOSS))
        return trainer.values(batch), trainer.logprobs(batch)[0]

    before = learnt()
    trainer.drop_critic()
    trainer.drop_critic()
    trainer.save_checkpoint(tmp_path / "saved")
    assert [path.name for path in (tmp_path / "saved").iterdir() if path.is_dir()] == ["state"]
    np.testing.assert_array_equal(before, learnt())


def test_a_checkpoint_brings_back_both(
    new_trainer: Callable[..., Any], tiny_model: Path, case: Any, tmp_path: Path
) -> None:
    batch = case.batch.with_columns(returns=np.ones(int(case.batch.learnt.sum())))

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
