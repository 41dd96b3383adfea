"""The one linear layer that makes a value or a score of a hidden state: kept beside the weights of its backbone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

VALUE_HEAD_FILE = "value_head.safetensors"  # weight [1, hidden], bias [1]


def has_value_head(hub_directory: Path) -> bool:
    """Whether a checkpoint is a critic's or a scalar reward model's; a policy's and a pairwise one's has no head."""
    return (hub_directory / VALUE_HEAD_FILE).is_file()


def load_value_head(hub_directory: Path) -> dict[str, torch.Tensor]:
    """``weight`` [1, hidden] and ``bias`` [1]."""
    from safetensors.torch import load_file

    head: dict[str, torch.Tensor] = load_file(hub_directory / VALUE_HEAD_FILE)
    return head


def save_value_head(hub_directory: Path, head: Mapping[str, torch.Tensor]) -> None:
    """``weight`` [1, hidden] and ``bias`` [1], beside the weights of the checkpoint."""
    from safetensors.torch import save_file

    save_file(dict(head), hub_directory / VALUE_HEAD_FILE)
