"""The critic as DeepSpeed sees it: a micro-batch in, the value of the state before each token learnt from out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from reward_models.value_head import has_value_head, load_value_head
from rl.families.family import ModelFamily
from rl.trainer.models.policy_model import MicroBatch


class CriticModel(nn.Module):
    """The policy's own kind of backbone, pictures included, with one linear value head on the last hidden state.

    V(s_t) is read where the policy predicts token t, so it has seen the prompt, the pictures and the tokens before t
    and nothing later. The head starts at 0 unless the checkpoint brings one: the first advantages are then the returns.
    """

    def __init__(self, family: ModelFamily, model: nn.Module) -> None:
        super().__init__()
        self.family = family
        self.model = model
        hidden_size = self.model.config.get_text_config().hidden_size
        self.value_head = nn.Linear(hidden_size, 1, dtype=family.lm_head(model).weight.dtype)
        self.start_at_zero()
        family.lm_head(model).requires_grad_(False)  # no value depends on it

    def forward(self, batch: MicroBatch) -> torch.Tensor:
        """Values [R], float32, one for each token learnt from."""
        vision: Any = None
        if batch.vision is not None:
            vision = self.family.vision_features(self.model, batch.vision)
        hidden = self.family.hidden_states(
            self.model, batch.input_ids, batch.position_ids, vision, batch.vision_rows
        )
        picked = hidden.flatten(0, 1)[batch.predictors].to(self.value_head.weight.dtype)
        values: torch.Tensor = self.value_head(picked).squeeze(-1)
        return values.float()

    def load_head(self, hub_directory: Path) -> None:
        """Take the value head that a critic's checkpoint carries; a policy's has none, and the head starts at 0."""
        if has_value_head(hub_directory):
            self.value_head.load_state_dict(load_value_head(hub_directory))
        else:
            self.start_at_zero()

    def start_at_zero(self) -> None:
        nn.init.zeros_(self.value_head.weight)
        nn.init.zeros_(self.value_head.bias)
