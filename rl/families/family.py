"""What Hone must know of a model family: how to build, load, freeze, lay out and feed it.

A family is one file beside this one. Everything the trainer does with a model goes through the methods here, so the
trainer itself never names a model. Outside packages add a family through the entry-point group ``hone.model_families``.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from sampler.image import ANY_MODEL, ImageLimits
from verifiers.errors import BadInput, near_name

if TYPE_CHECKING:
    import numpy as np
    import torch
    from PIL.Image import Image
    from torch import nn

    from sampler.data.media.video import VideoClip


@dataclass(frozen=True)
class HubTensor:
    """One tensor of the checkpoint layout published on the hub, which is also what vLLM loads."""

    name: str
    shape: tuple[int, ...]


class VisionTensors(Protocol):
    """What a family makes of the pictures and videos of one prompt, or of several; only the family looks inside."""

    @property
    def num_runs(self) -> int:
        """Runs of placeholder tokens that it fills: one a picture, and one a video or a frame of it."""
        ...

    @property
    def nbytes(self) -> int: ...

    def to(self, device: torch.device) -> VisionTensors: ...


class ModelFamily(ABC):
    """One family of mixture-of-experts vision-language models."""

    name: ClassVar[str]
    architectures: ClassVar[tuple[str, ...]]
    thinking_tags: ClassVar[tuple[str, str]] = ("<think>", "</think>")
    image_limits: ClassVar[ImageLimits] = ANY_MODEL  # what the processor takes; asked where rows are read
    tiny_sizes: ClassVar[Mapping[str, int]] = {}  # what ``build_tiny`` takes, with its defaults

    def require_tiny(self, sizes: Mapping[str, Any]) -> None:  # noqa: B027 - a family need not ask
        """Raises: BadInput for sizes that ``build_tiny`` would refuse, before anything is built."""

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
    def new_model(self, path: Path, *, dtype: torch.dtype, attention: str) -> nn.Module:
        """The model that ``load_model`` fills, before its weights are read: only the configuration is. On the device
        that is set, such as meta, where it takes no memory."""

    @abstractmethod
    def frozen_prefixes(self, *, freeze_vision: bool) -> tuple[str, ...]:
        """Prefixes of the parameter names that are not trained."""

    @abstractmethod
    def expert_modules(self) -> tuple[str, ...]:
        """Class names of the modules that hold routed experts: DeepSpeed's ZeRO-3 leaf modules."""

    @abstractmethod
    def hub_tensors(self, name: str, shape: tuple[int, ...]) -> Sequence[HubTensor]:
        """Where a trainer parameter of this name and shape goes in the hub layout: one tensor, or one an expert."""

    @abstractmethod
    def to_hub(self, name: str, tensor: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
        """A trainer parameter as it is named and laid out on the hub, in the order of ``hub_tensors``; same values,
        contiguous."""

    @abstractmethod
    def from_hub(self, name: str, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        """The trainer parameter of this name from what ``to_hub`` makes of it."""

    @abstractmethod
    def forbidden_token_ids(self, tokenizer: Any, config: Any) -> tuple[int, ...]:
        """Tokens a policy must never sample, of a checkpoint's tokenizer and model configuration: what would be taken
        for an image or a video."""

    @abstractmethod
    def placeholder_ids(self, config: Any) -> tuple[int, ...]:
        """The tokens that pictures and frames of videos stand behind, of a model's configuration."""

    @abstractmethod
    def images(self, processor: Any, images: Sequence[Image]) -> list[VisionTensors]:
        """Each RGB picture as the vision tower takes it, by the checkpoint's processor, all in one call."""

    @abstractmethod
    def video(self, processor: Any, clip: VideoClip) -> VisionTensors:
        """The frames of a video as the vision tower takes them."""

    @abstractmethod
    def blank(self, processor: Any) -> VisionTensors:
        """The smallest picture there is: it keeps the vision tower in the graph where no picture is shown."""

    @abstractmethod
    def joined(self, parts: Sequence[VisionTensors]) -> VisionTensors:
        """Those of one or more parts, in their order."""

    @abstractmethod
    def vision_features(self, model: nn.Module, vision: Any) -> Any:
        """Run the vision tower once over the ``VisionTensors`` of a micro-batch; the result goes into
        ``hidden_states``."""

    @abstractmethod
    def positions(self, input_ids: np.ndarray, vision: Any, *, placeholder_ids: Sequence[int]) -> np.ndarray:
        """Rotary positions of one sequence, [axes, length] int64; ``vision`` holds its ``VisionTensors``, or None."""

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
        in a packed row. ``vision`` comes from ``vision_features``; ``vision_rows`` [runs] says, for each run of
        placeholders in order, which run of the micro-batch's ``VisionTensors`` fills it: an image shared by a group
        is encoded once.
        """

    @abstractmethod
    def lm_head(self, model: nn.Module) -> nn.Linear:
        """The linear layer, without a bias, that turns hidden states into logits."""


FAMILIES: dict[str, str] = {
    "qwen3_vl_moe": "rl.families.qwen3_vl_moe:Qwen3VLMoeFamily",
    "qwen3_vl_moe_per_expert": "rl.families.per_expert:PerExpertFamily",
}


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


def forbidden_token_ids(hub: Path, family: ModelFamily) -> tuple[int, ...]:
    """What the policy at this checkpoint must never sample. Raises: BadInput where there is no tokenizer."""
    from transformers import AutoConfig, AutoTokenizer

    if not hub.is_dir():
        raise BadInput(
            f"model.path={hub} is not a directory: give a checkpoint in the hub layout, or leave it out for a tiny "
            "random model"
        )
    if not (hub / "config.json").is_file():
        raise BadInput(
            f"model.path={hub} holds no config.json: give a checkpoint directory in the hub layout"
        )
    try:
        architectures = json.loads((hub / "config.json").read_text()).get("architectures") or []
    except (ValueError, AttributeError) as why:
        raise BadInput(f"model.path={hub}: its config.json is not a JSON object: {why}") from None
    if not set(architectures) & set(family.architectures):
        raise BadInput(
            f"model.path={hub} is a {', '.join(architectures) or 'model without a name'}, but "
            f"model.family={family.name} wants {', '.join(family.architectures)}"
        )
    if not any(hub.glob("*.safetensors")):
        raise BadInput(f"model.path={hub} holds no .safetensors file: its weights are missing")
    try:
        tokenizer = AutoTokenizer.from_pretrained(hub)
    except (OSError, ValueError) as why:
        raise BadInput(f"model.path={hub}: its tokenizer cannot be loaded: {why}") from why
    require_whole(hub)
    return family.forbidden_token_ids(tokenizer, AutoConfig.from_pretrained(hub))


def require_whole(hub: Path) -> None:
    """That a checkpoint is there, by its files and the headers of its weights. Raises: BadInput naming what is missing,
    and a file that is cut."""
    from safetensors import SafetensorError, safe_open

    if not hub.is_dir():
        raise BadInput(
            f"{hub}: there is no such directory{near_name(hub.name, [one.name for one in hub.parent.glob('*')])}; a "
            "policy is a checkpoint on disk, in the hub's layout (config.json, *.safetensors, tokenizer)"
        )
    missing = [name for name in ("config.json", "*.safetensors") if not any(hub.glob(name))]
    if missing:
        policies = ", ".join(str(one) for one in sorted(hub.glob("**/policy"))[-3:])
        hint = f": did you mean {policies}?" if policies else " of the hub's layout"
        raise BadInput(f"{hub} is no checkpoint, it has no {' and no '.join(missing)}{hint}")

    for file in sorted(hub.glob("*.safetensors")):
        try:
            with safe_open(file, "np"):
                pass
        except SafetensorError as why:
            raise BadInput(
                f"{file} is cut or damaged ({why}): copy it again; if a stage of the run wrote it, delete that stage's "
                "directory and those after it, and the same command makes them anew"
            ) from None


def require_same_tokens(hub: Path, policy: Path) -> None:
    """That one checkpoint can judge the tokens of another. Raises: BadInput where tokenizers, vocabularies or the
    patches of pictures differ."""
    from transformers import AutoConfig, AutoTokenizer

    tokens, of_policy = (AutoTokenizer.from_pretrained(one).get_vocab() for one in (hub, policy))
    if differing := tokens.items() ^ of_policy.items():
        token, index = min(differing, key=lambda one: one[1])
        raise BadInput(
            f"it has another tokenizer than the policy (token {index} is {token!r} in only one of them): take a policy "
            "that started from the same checkpoint"
        )
    sizes = ("vocab_size", "patch_size", "temporal_patch_size", "spatial_merge_size")
    config, own = (AutoConfig.from_pretrained(one) for one in (hub, policy))
    for name in sizes:
        found, wanted = (
            getattr(one.get_text_config() if name == "vocab_size" else one.vision_config, name, None)
            for one in (config, own)
        )
        if found != wanted:
            raise BadInput(f"its {name} is {found}, the policy's is {wanted}")
