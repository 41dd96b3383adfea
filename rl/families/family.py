"""What Hone must know of a model family: how to build, load, freeze, lay out and feed it.

A family is one file beside this one. Everything the trainer does with a model goes through the methods here, so the
trainer itself never names a model. Outside packages add a family through the entry-point group ``hone.model_families``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from verifiers.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import nn


@dataclass(frozen=True)
class HubTensor:
    """One tensor of the checkpoint layout published on the hub, which is also what vLLM loads."""

    name: str
    shape: tuple[int, ...]


class ModelFamily(ABC):
    """One family of mixture-of-experts vision-language models."""

    name: ClassVar[str]
    architectures: ClassVar[tuple[str, ...]]
    thinking_tags: ClassVar[tuple[str, str]] = ("<think>", "</think>")
    tiny_sizes: ClassVar[Mapping[str, int]] = {}  # what ``build_tiny`` takes, with its defaults

    @abstractmethod
    def build_tiny(self, path: Path, *, seed: int, corpus: Sequence[str], sizes: Mapping[str, Any]) -> None:
        """Write a complete random-weight checkpoint small enough for a CPU: weights in the hub layout, tokenizer
        trained on ``corpus``, processor and chat template.

        Raises: BadInput for sizes the family cannot hold.
        """

    @abstractmethod
    def load_model(self, path: Path, *, dtype: torch.dtype, attention: str) -> nn.Module:
        """The trainer's model with the weights of a checkpoint in the hub layout (tiny or published)."""

    @abstractmethod
    def empty_model(self, path: Path) -> nn.Module:
        """The trainer's model of a checkpoint's configuration on the meta device: names and shapes, no memory."""

    @abstractmethod
    def frozen_prefixes(self, *, freeze_vision: bool) -> tuple[str, ...]:
        """Prefixes of the parameter names that are not trained."""

    @abstractmethod
    def expert_modules(self) -> tuple[str, ...]:
        """Class names of the modules that hold routed experts: DeepSpeed's ZeRO-3 leaf modules."""

    @abstractmethod
    def hub_tensor(self, name: str, shape: tuple[int, ...]) -> HubTensor:
        """Where a trainer parameter of this name and shape goes in the hub layout."""

    @abstractmethod
    def to_hub(self, name: str, tensor: torch.Tensor) -> tuple[str, torch.Tensor]:
        """A trainer parameter as it is named and laid out on the hub; same values, contiguous."""

    @abstractmethod
    def forbidden_token_ids(self, tokenizer: Any, config: Any) -> tuple[int, ...]:
        """Tokens a policy must never sample, of a checkpoint's tokenizer and model configuration: what would be taken
        for an image or a video."""

    @abstractmethod
    def placeholder_ids(self, config: Any) -> tuple[int, ...]:
        """The tokens that pictures and frames of videos stand behind, of a model's configuration."""

    @abstractmethod
    def video_runs(self, grid_thw: torch.Tensor) -> torch.Tensor:
        """[videos, 3] grids of videos as the grids of their runs of placeholders, [runs, 3], in the same order of
        patches: one run a video, or one a frame where the family puts text between frames."""

    @abstractmethod
    def vision_features(self, model: nn.Module, pixel_values: torch.Tensor, grid_thw: torch.Tensor) -> Any:
        """Run the vision tower once over all grids of a micro-batch; the result goes into ``hidden_states``."""

    @abstractmethod
    def positions(
        self,
        input_ids: np.ndarray,
        grids: Sequence[Sequence[int]],
        *,
        placeholder_ids: Sequence[int],
        merge_size: int,
    ) -> np.ndarray:
        """Rotary positions of one sequence, [axes, length] int64; ``grids`` are those of its runs of placeholders
        (frames, rows, columns)."""

    @abstractmethod
    def hidden_states(
        self,
        model: nn.Module,
        input_ids: torch.Tensor,
        position_ids: torch.Tensor,
        vision: Any,
        vision_rows: torch.Tensor | None,
    ) -> torch.Tensor:
        """Last hidden states [batch, length, hidden] of right-padded or packed rows.

        ``position_ids`` is [1 + axes, batch, length], text positions first; they restart where a new sequence begins
        in a packed row. ``vision`` comes from ``vision_features``; ``visual_rows`` [runs] says, for each run of
        placeholders in order, which of the grids fills it: an image shared by a group is encoded once.
        """

    @abstractmethod
    def lm_head(self, model: nn.Module) -> nn.Module:
        """The module that turns hidden states into logits."""


FAMILIES: dict[str, str] = {"qwen3_vl_moe": "rl.families.qwen3_vl_moe:Qwen3VLMoeFamily"}


def load_family(name: str) -> ModelFamily:
    """A family by its name, an entry point's name or ``package.module:Name``.

    Raises: BadInput when there is none of that name.
    """
    plugins = {point.name: point.value for point in entry_points(group="hone.model_families")}
    target = FAMILIES.get(name) or plugins.get(name) or (name if ":" in name else None)
    if target is None:
        known = ", ".join(sorted({*FAMILIES, *plugins}))
        raise BadInput(f"unknown model family {name!r}; known: {known}, or give package.module:Name")
    module_name, _, attribute = target.partition(":")
    try:
        family: ModelFamily = getattr(import_module(module_name), attribute)()
    except (ImportError, AttributeError, ValueError) as why:
        raise BadInput(f"model family {name!r} cannot be imported from {target!r}: {why}") from why
    return family
