"""Qwen3-VL-MoE whose checkpoints hold every expert by itself, as Qwen3-MoE's do: ``experts.3.gate_proj.weight``.

The model is the same, only the hub layout differs. Transformers holds an expert layer as ``gate_up_proj [E, 2 * inter,
hidden]`` and ``down_proj [E, hidden, inter]``; here each is cut into its experts, gate and up apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rl.families.family import HubTensor
from rl.families.hub_checkpoint import HubCheckpoint
from rl.families.qwen3_vl_moe import EXPERT_SUFFIXES, Qwen3VLMoeFamily

if TYPE_CHECKING:
    import torch
    from torch import nn


class PerExpertFamily(Qwen3VLMoeFamily):
    """See the module's docstring."""

    name = "qwen3_vl_moe_per_expert"

    def hub_tensors(self, name: str, shape: tuple[int, ...]) -> list[HubTensor]:
        if not name.endswith(EXPERT_SUFFIXES):
            return [HubTensor(name, shape)]
        layer, _, fused = name.rpartition(".")
        num_experts, rows, columns = shape
        if fused == "down_proj":
            parts = {"down_proj": (rows, columns)}
        else:
            parts = {"gate_proj": (rows // 2, columns), "up_proj": (rows // 2, columns)}
        return [
            HubTensor(f"{layer}.{expert}.{part}.weight", of_part)
            for expert in range(num_experts)
            for part, of_part in parts.items()
        ]

    def to_hub(self, name: str, tensor: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
        parts = [tensor]
        if name.endswith(EXPERT_SUFFIXES):
            per_expert = 2 if name.endswith("gate_up_proj") else 1
            parts = [part for expert in tensor for part in expert.chunk(per_expert)]
        for hub, part in zip(self.hub_tensors(name, tuple(tensor.shape)), parts, strict=True):
            yield hub.name, part.contiguous()

    def from_hub(self, name: str, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        import torch

        if not name.endswith(EXPERT_SUFFIXES):
            return parts[0]
        per_expert = 2 if name.endswith("gate_up_proj") else 1
        starts = range(0, len(parts), per_expert)
        return torch.stack([torch.cat(list(parts[start : start + per_expert])) for start in starts])

    def load_model(self, path: Path, *, dtype: torch.dtype, attention: str) -> nn.Module:
        """Raises: BadInput where the checkpoint lacks a tensor of this layout."""
        model = self.new_model(path, dtype=dtype, attention=attention)
        shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
        checkpoint = HubCheckpoint(self, path)
        checkpoint.require(shapes)
        for name, parameter in model.named_parameters():
            parameter.data.copy_(checkpoint.parameter(name, shapes[name]))
        return model
