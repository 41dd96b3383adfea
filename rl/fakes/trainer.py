"""A trainer whose weights are a hash of all that it was trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rl.algorithm.loss.losses import CRITIC_LOSSES, LossSpec
from rl.data.batch import Batch
from rl.data.token_sequence import Floats

WEIGHTS_FILE = "model.safetensors"


class FakeTrainer:
    """``calls`` are the names of what it was asked for, in order. Its weights are a hash of all it was trained on."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.weights, self.critic = "", ""
        self.model_sizes: dict[str, Any] = {}

    def hold(self, batch: Batch, steps: Sequence[Sequence[int]] | None = None) -> FakeHeldBatch:
        return FakeHeldBatch(self, batch, [range(len(batch))] if steps is None else steps)

    def logprobs(self, batch: Batch, **options: Any) -> tuple[Floats, Floats]:
        return self.hold(batch).logprobs(**options)

    def values(self, batch: Batch) -> Floats:
        return self.hold(batch).values()

    def update(
        self,
        steps: Sequence[Batch],
        rates: Sequence[float],
        loss: LossSpec,
        teachers: Sequence[str] | None = None,
    ) -> list[dict[str, float]]:
        outcomes = [self.step(batch, rate, loss) for batch, rate in zip(steps, rates, strict=True)]
        return [one | {"teacher_kl": 0.25} if teachers and loss.teacher_coef else one for one in outcomes]

    def step(self, batch: Batch, rate: float, loss: LossSpec) -> dict[str, float]:
        """One optimizer step. Its loss is between 0 and 1 and depends on all that was trained on."""
        self.calls.append(f"update {loss.name}")
        trained = hashlib.sha256(batch.token_ids.tobytes() + repr((loss, rate)).encode()).hexdigest()
        if loss.name in CRITIC_LOSSES:
            learnt = self.critic = _hashed(self.critic, trained)
        else:
            learnt = self.weights = _hashed(self.weights, trained)
        figures = {"grad_norm": 1.0, "value_clip_frac": 0.0, "seconds": 1e-3, "num_tokens": batch.num_tokens}
        return {"loss": int(learnt[:8], 16) / 2**32, **figures}

    def save_checkpoint(self, directory: Path) -> None:
        self.export(directory)
        (directory / "critic").write_text(self.critic)

    def load_checkpoint(self, directory: Path) -> None:
        self.calls.append("load_checkpoint")
        self.weights = contents(directory / WEIGHTS_FILE)
        self.critic = contents(directory / "critic")

    def export(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / WEIGHTS_FILE).write_text(self.weights)

    def export_critic(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / WEIGHTS_FILE).write_text(self.critic)

    def load_weights(self, hub_directory: Path) -> None:
        self.calls.append("load_weights")
        self.weights = contents(hub_directory / WEIGHTS_FILE)

    def load_critic(self, hub_directory: Path) -> None:
        self.calls.append("load_critic")
        self.critic = contents(hub_directory / WEIGHTS_FILE)

    def drop_critic(self) -> None:
        self.critic = ""

    def load_frozen(self, directories: Collection[str]) -> None:
        self.calls.extend(f"load {Path(one).name}" for one in directories)

    def send_weights(self, backend: str, client: Any, num_inference_ranks: int) -> float:
        self.calls.append("send_weights")
        return 0.0

    def weight_checksums(self) -> dict[str, int]:
        return {}

    def reset_optimizer(self) -> None:
        self.calls.append("reset_optimizer")

    def shutdown(self) -> None:
        self.calls.append("shutdown")


class FakeHeldBatch:
    """What a ``FakeTrainer`` computes of a batch."""

    def __init__(self, trainer: FakeTrainer, batch: Batch, steps: Sequence[Sequence[int]]) -> None:
        self.trainer, self.batch, self.steps = trainer, batch, steps

    def logprobs(
        self, temperature: float = 1.0, *, of: Any = None, where: Any = None
    ) -> tuple[Floats, Floats]:
        """The sampler's own where it drew them, else -1; and entropies of ln 2. 0 for the sequences that ``where``
        leaves out."""
        self.trainer.calls.append("frozen logprobs" if of else "logprobs")
        drawn = "sample_logprobs" in self.batch.columns
        learnt = int(self.batch.learnt.sum())
        sampled = self.batch.column("sample_logprobs") if drawn else -np.ones(learnt, np.float32)
        asked = np.ones(len(self.batch), bool) if where is None else where
        asked = np.repeat(asked, self.batch.loss_lengths)
        return sampled * asked, np.float32(np.log(2)) * asked

    def values(self) -> Floats:
        self.trainer.calls.append("values")
        return np.full(int(self.batch.learnt.sum()), 0.25, np.float32)

    def update(self, batch: Batch, rates: Sequence[float], loss: LossSpec, _: Any = None) -> Any:
        return [
            self.trainer.step(batch.select(step), rate, loss)
            for step, rate in zip(self.steps, rates, strict=True)
        ]


def _hashed(before: str, change: str) -> str:
    return hashlib.sha256(f"{before} {change}".encode()).hexdigest()


def contents(file: Path) -> str:
    """What a fake wrote, or a hash of what a real one did; nothing where there is no such file."""
    data = file.read_bytes() if file.is_file() else b""
    return data.decode() if len(data) <= 64 else hashlib.sha256(data).hexdigest()
