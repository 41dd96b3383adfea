"""What the second implementations of this folder share: transformers' model in float64, and ways to cut a step."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from reward_models.value_head import VALUE_HEAD_FILE


class TransformersModel:
    """A checkpoint with transformers' own attention and its own loop over experts; ``weight`` [1, hidden] and ``bias``
    [1] where it has a value head."""

    def __init__(self, hub: Path, dtype: torch.dtype = torch.float64) -> None:
        from transformers import Qwen3VLMoeForConditionalGeneration

        self.model: Any = Qwen3VLMoeForConditionalGeneration.from_pretrained(
            hub, dtype=dtype, attn_implementation="eager", experts_implementation="eager"
        )
        file = hub / VALUE_HEAD_FILE
        self.head = {
            name: one.to(dtype).requires_grad_()
            for name, one in (load_file(file) if file.is_file() else {}).items()
        }

    def on_hidden_states(self, hidden: torch.Tensor) -> torch.Tensor:
        """The value head: [..., hidden] to [...]."""
        return (hidden @ self.head["weight"].T + self.head["bias"])[..., 0]

    def gradient_norm(self, loss: torch.Tensor, frozen: Sequence[str] = ()) -> float:
        """Over all parameters but those whose names start so."""
        named = (*self.model.named_parameters(), *self.head.items())
        for _, one in named:
            one.grad = None
        loss.backward()
        trained = [one for name, one in named if not name.startswith(tuple(frozen))]
        return float(torch.sqrt(sum((one.grad**2).sum() for one in trained if one.grad is not None)))


@pytest.fixture(scope="session")
def transformers_model() -> type[TransformersModel]:
    return TransformersModel


@pytest.fixture(scope="session")
def with_value_head(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A copy of the tiny model with a value head whose values spread over a few units."""

    def make(*, seed: int, bias: float) -> Path:
        path = tmp_path_factory.mktemp("head") / "hub"
        shutil.copytree(tiny_model, path)
        weight = torch.randn(1, 128, generator=torch.Generator().manual_seed(seed)) * 0.2
        save_file({"weight": weight, "bias": torch.tensor([bias])}, path / VALUE_HEAD_FILE)
        return path

    return make


@pytest.fixture(
    params=[
        pytest.param((1, {"zero_stage": 1}), id="zero1"),
        pytest.param((2, {"zero_stage": 2, "micro_batch_tokens": 1}), id="zero2-2ranks-one-sequence-each"),
        pytest.param((2, {"zero_stage": 3}), id="zero3-2ranks"),
        pytest.param((1, {"zero_stage": 1, "layout": "packed"}), id="packed"),
    ]
)
def cut_trainer(request: pytest.FixtureRequest, new_trainer: Callable[..., Any]) -> Any:
    """A trainer that cuts a step into ranks and micro-batches in one of several ways."""
    num_ranks, settings = request.param
    return new_trainer(num_ranks, **settings)
