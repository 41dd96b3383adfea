"""Policy and critic as complete checkpoints in the hub layout, for use."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rl.trainer.trainer import Trainer

NOT_WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "*.bin", "*.bin.index.json", "*.pt", "*.pth")


def export_policy(trainer: Trainer, base: Path, target: Path) -> None:
    """The policy as a complete checkpoint in the hub layout."""
    _export(trainer.export, base, target)


def export_critic(trainer: Trainer, base: Path, target: Path) -> None:
    """The critic likewise, with its value head beside the backbone's weights."""
    _export(trainer.export_critic, base, target)


def _export(write_weights: Callable[[Path], None], base: Path, target: Path) -> None:
    """Configuration, tokenizer and processor from ``base``, weights from the trainer; written under a temporary name
    and renamed."""
    temporary = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(base, temporary, ignore=shutil.ignore_patterns(*NOT_WEIGHTS, ".*"))
    write_weights(temporary)
    shutil.rmtree(target, ignore_errors=True)
    temporary.rename(target)
