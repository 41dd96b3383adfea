"""A policy that is only asked: a reference, or a teacher."""

from __future__ import annotations

from typing import Any

import deepspeed
import torch

from rl.families.family import ModelFamily
from rl.trainer.models.deepspeed_model import deepspeed_config
from rl.trainer.models.partitioned import gather_experts_whole
from rl.trainer.models.policy_model import MicroBatch, PolicyModel, PolicyOutput, TeacherStates
from rl.trainer.rank_work import TrainerSetup


class FrozenPolicy:
    """Whole on every rank, or under ZeRO-3 partitioned as the trained policy is: methods are called on all ranks at
    once."""

    def __init__(
        self, module: PolicyModel, family: ModelFamily, setup: TrainerSetup, device: torch.device
    ) -> None:
        self.module = module.requires_grad_(False).eval()
        self._is_partitioned = setup.is_partitioned
        self._engine: Any = module
        if self._is_partitioned:
            gather_experts_whole(module, family)
            config = deepspeed_config(setup.trainer, dtype=setup.model.dtype, device=setup.device)
            del config["optimizer"]
            self._engine, *_ = deepspeed.initialize(model=module, config=config)
        else:
            module.to(device)

    def close(self) -> None:
        """Let DeepSpeed go of it, so that its memory is free."""
        if self._is_partitioned:
            self._engine.destroy()

    @torch.no_grad()
    def __call__(self, batch: MicroBatch, temperature: float, with_entropy: bool) -> PolicyOutput:
        """Log-probabilities of the targets, and where asked entropies."""
        output: PolicyOutput = self._engine(batch, temperature, with_entropy)
        return output

    @torch.no_grad()
    def states(self, batch: MicroBatch, top_k: int | None) -> TeacherStates:
        """As a teacher. Its head's weight is whole until the micro-batch is done."""
        hidden, head = self._engine(batch, states_alone=True), self.module.head
        weight: Any = deepspeed.zero.GatheredParameters([head.weight], enabled=self._is_partitioned)
        with weight:
            multiplied = head.multiplied
            return TeacherStates(hidden, multiplied.clone() if self._is_partitioned else multiplied, top_k)
