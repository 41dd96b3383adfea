"""A step on two turns with a gap between them that is not learnt from, against transformers in float64.

The gap is a tool's answer, words and a picture: the second turn sees it, and nothing is learnt from it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rl.algorithm.loss.losses import LossSpec

RELATIVE = 1e-5


@pytest.fixture(scope="module")
def two_turns(case: Any) -> tuple[Any, list[Any]]:
    """The case's last group as a batch, and as the reference sees it."""
    indices = [index for index, prompt_id in enumerate(case.batch.prompt_ids) if prompt_id == "p5"]
    samples = [case.samples[index] for index in indices]
    for sample in samples:
        steps = sample.learnt.diff()
        assert int(steps.max()) > 20, "a gap: the tool's turn"
        assert sample.inputs["image_grid_thw"].shape[0] == 2, "the prompt's picture and the tool's"
    return case.batch.select(indices), samples


def loss_of(transformers: Any, case: Any, sequences: list[tuple[Any, torch.Tensor]]) -> torch.Tensor:
    """Mean negative log-likelihood of the tokens at these positions of each sequence."""
    found = []
    for sample, positions in sequences:
        logits = transformers.model(**sample.given(torch.float64)).logits[0, positions - 1].clone()
        logits[:, case.forbidden] = -torch.inf
        targets = sample.token_ids[positions]
        found.append(-torch.log_softmax(logits, -1)[torch.arange(len(targets)), targets])
    return torch.cat(found).mean()


@pytest.fixture(scope="module")
def truth(
    tiny_model: Path, case: Any, two_turns: tuple[Any, list[Any]], transformers_model: Callable[..., Any]
) -> tuple[float, float]:
    """Loss and gradient norm; both are others where the first turn alone is learnt from."""
    transformers = transformers_model(tiny_model)
    samples = two_turns[1]
    loss = loss_of(transformers, case, [(sample, sample.learnt) for sample in samples])
    norm = transformers.gradient_norm(loss)
    first_turns = [sample.learnt[: int(sample.learnt.diff().argmax()) + 1] for sample in samples]
    first = loss_of(transformers, case, list(zip(samples, first_turns, strict=True)))
    assert abs(float(first / loss) - 1) > 1e-3 and abs(transformers.gradient_norm(first) / norm - 1) > 1e-3
    return float(loss.detach()), norm


def test_loss_and_gradient(
    cut_trainer: Any, two_turns: tuple[Any, list[Any]], truth: tuple[float, float]
) -> None:
    metrics = cut_trainer.update([two_turns[0]], [0.0], LossSpec())[0]
    assert metrics["loss"] == pytest.approx(truth[0], rel=RELATIVE)
    assert metrics["grad_norm"] == pytest.approx(truth[1], rel=RELATIVE)
