"""Qwen3-VL-MoE (30B-A3B, 235B-A22B, and a tiny random instance): native-resolution vision tower, deepstack, MoE text.

Layout. The hub holds an expert layer as ``gate_up_proj [E, hidden, 2 * inter]`` and ``down_proj [E, inter, hidden]``;
transformers 5 holds both transposed in memory and transposes on load only where the shapes differ. All other tensors
have the same name and shape in both. Hence ``to_hub`` transposes those two, and ``build_tiny`` refuses square sizes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rl.families.family import HubTensor, ModelFamily, VisionTensors
from rl.families.tiny_qwen3_vl_moe import (
    TINY_SIZES,
    tiny_config,
    tiny_processor,
    tiny_sizes,
    train_tiny_tokenizer,
)
from sampler.data.media.video import VideoClip, processed_clip
from sampler.image import ImageLimits

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image
    from torch import nn

NEVER_WRITTEN = re.compile(r"<\|(im_start|(vision|image|video)_\w+)\|>")
EXPERT_SUFFIXES = ("mlp.experts.gate_up_proj", "mlp.experts.down_proj")


@dataclass(frozen=True)
class VisionFeatures:
    """Merged features of several grids (images, frames of videos), concatenated, with the deepstack features of the
    same tokens.

    merged: [tokens, hidden]; deepstack: one [tokens, hidden] per tapped vision layer; tokens_per_grid: [grids].
    """

    merged: torch.Tensor
    deepstack: list[torch.Tensor]
    tokens_per_grid: list[int]


@dataclass(frozen=True, eq=False)
class Patches:
    """Pictures and videos for the vision tower. pixel_values: [patches, channels * temporal * patch * patch]; grid_thw:
    [runs, 3], patches of each run of placeholders in time, height and width; merge_size: patches a side of a token."""

    pixel_values: torch.Tensor
    grid_thw: torch.Tensor
    merge_size: int

    @property
    def num_runs(self) -> int:
        return len(self.grid_thw)

    @property
    def nbytes(self) -> int:
        return self.pixel_values.nbytes

    def to(self, device: torch.device) -> Patches:
        return Patches(self.pixel_values.to(device), self.grid_thw.to(device), self.merge_size)


class Qwen3VLMoeFamily(ModelFamily):
    """See the module's docstring."""

    name = "qwen3_vl_moe"
    architectures = ("Qwen3VLMoeForConditionalGeneration",)
    image_limits = ImageLimits(max_aspect=200.0)  # transformers' ``smart_resize``
    tiny_sizes = TINY_SIZES

    def require_tiny(self, sizes: Mapping[str, Any]) -> None:
        tiny_sizes(sizes)

    def build_tiny(self, path: Path, *, seed: int, corpus: Sequence[str], sizes: Mapping[str, Any]) -> None:
        """Write a tiny random-weight checkpoint. Raises: BadInput for an unknown or impossible size."""
        import torch
        from safetensors.torch import save_file
        from transformers import GenerationConfig, Qwen3VLMoeForConditionalGeneration

        size = tiny_sizes(sizes)
        tokenizer = train_tiny_tokenizer(
            ["user", "assistant", "system", *corpus], vocab_size=size["vocab_size"]
        )
        config = tiny_config(size, tokenizer)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = Qwen3VLMoeForConditionalGeneration(config)
        path.mkdir(parents=True, exist_ok=True)
        weights = [self.to_hub(name, parameter.detach()) for name, parameter in model.named_parameters()]
        save_file(dict(chain(*weights)), path / "model.safetensors", metadata={"format": "pt"})
        config.save_pretrained(path)
        GenerationConfig(
            eos_token_id=tokenizer.convert_tokens_to_ids("<|im_end|>"),
            pad_token_id=tokenizer.convert_tokens_to_ids("<|endoftext|>"),
        ).save_pretrained(path)
        tiny_processor(size, tokenizer).save_pretrained(path)

    def load_model(self, path: Path, *, dtype: torch.dtype, attention: str) -> nn.Module:
        """``attention`` is transformers' name of an implementation, or ``varlen_attention.NAME`` for the text layers
        alone. Raises: OSError where ``path`` is no checkpoint."""
        from transformers import Qwen3VLMoeForConditionalGeneration

        return _with_batched_vision(
            Qwen3VLMoeForConditionalGeneration.from_pretrained(
                path, dtype=dtype, attn_implementation=_implementation(attention)
            )
        )

    def new_model(self, path: Path, *, dtype: torch.dtype, attention: str) -> nn.Module:
        from transformers import AutoModelForImageTextToText, Qwen3VLMoeConfig
        from transformers.initialization import no_init_weights

        with no_init_weights():
            model = AutoModelForImageTextToText.from_config(
                Qwen3VLMoeConfig.from_pretrained(path),
                dtype=dtype,
                attn_implementation=_implementation(attention),
            )
        return _with_batched_vision(model)

    def frozen_prefixes(self, *, freeze_vision: bool) -> tuple[str, ...]:
        """The encoder's blocks and embeddings; the mergers are the adapter, which the paper goes on training."""
        encoder = ("model.visual.patch_embed.", "model.visual.pos_embed.", "model.visual.blocks.")
        return encoder if freeze_vision else ()

    def expert_modules(self) -> tuple[str, ...]:
        return ("Qwen3VLMoeTextExperts",)

    def hub_tensors(self, name: str, shape: tuple[int, ...]) -> list[HubTensor]:
        if name.endswith(EXPERT_SUFFIXES):
            shape = (shape[0], shape[2], shape[1])
        return [HubTensor(name, shape)]

    def to_hub(self, name: str, tensor: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
        if name.endswith(EXPERT_SUFFIXES):
            tensor = tensor.transpose(1, 2)
        yield name, tensor.contiguous()

    def from_hub(self, name: str, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        (tensor,) = parts
        return tensor.transpose(1, 2).contiguous() if name.endswith(EXPERT_SUFFIXES) else tensor

    def forbidden_token_ids(self, tokenizer: Any, config: Any) -> tuple[int, ...]:
        """The tokenizer's special tokens that open a turn or stand for pictures and videos, and those that the
        configuration names; tokens around objects and boxes, and the end of its turn, a policy may write."""
        added = tokenizer.added_tokens_decoder.items()
        named = [token_id for token_id, token in added if NEVER_WRITTEN.fullmatch(str(token))]
        frame = (config.vision_start_token_id, config.vision_end_token_id)
        return tuple(sorted({*named, *self.placeholder_ids(config), *frame}))

    def placeholder_ids(self, config: Any) -> tuple[int, ...]:
        return config.image_token_id, config.video_token_id

    def images(self, processor: Any, images: Sequence[Image]) -> list[VisionTensors]:
        output = processor.image_processor(images=list(images), return_tensors="pt")
        grids = output["image_grid_thw"].split(1)
        pixels = output["pixel_values"].split([int(grid.prod()) for grid in grids])
        merge_size = processor.image_processor.merge_size
        return [Patches(part.clone(), grid, merge_size) for part, grid in zip(pixels, grids, strict=True)]

    def video(self, processor: Any, clip: VideoClip) -> Patches:
        """A run a temporal patch, each behind its time in words: Qwen3-VL knows time by text, and its vision tower
        attends within one temporal patch, so that to the model a video is a row of pictures."""
        output = processed_clip(clip, processor.video_processor)
        grids = output["video_grid_thw"].repeat_interleave(output["video_grid_thw"][:, 0], dim=0)
        grids[:, 0] = 1
        return Patches(output["pixel_values_videos"], grids, processor.video_processor.merge_size)

    def blank(self, processor: Any) -> VisionTensors:
        from PIL import Image

        side = processor.image_processor.patch_size * processor.image_processor.merge_size
        return self.images(processor, [Image.new("RGB", (side, side))])[0]

    def joined(self, parts: Sequence[Any]) -> Patches:
        import torch

        if len(parts) == 1:
            only: Patches = parts[0]
            return only
        pixel_values, grids = (
            [getattr(part, name) for part in parts] for name in ("pixel_values", "grid_thw")
        )
        return Patches(torch.cat(pixel_values), torch.cat(grids), parts[0].merge_size)

    def vision_features(self, model: Any, vision: Patches) -> VisionFeatures:
        from rl.families.vision_batches import position_tables

        visual, grid_thw = model.model.visual, vision.grid_thw
        tables = position_tables(
            grid_thw, side=visual.num_grid_per_side, merge_size=visual.spatial_merge_size
        )
        output = visual(vision.pixel_values.to(visual.dtype), grid_thw=grid_thw, return_dict=True, **tables)
        tokens = (grid_thw.prod(-1) // visual.spatial_merge_size**2).tolist()
        return VisionFeatures(output.pooler_output, list(output.deepstack_features), tokens)

    def positions(
        self, input_ids: np.ndarray, vision: Patches | None, *, placeholder_ids: Sequence[int]
    ) -> np.ndarray:
        """Interleaved M-RoPE positions of one sequence, [3, length] int64 (temporal, height, width).

        Text advances all three by one a token. An image's tokens share the temporal position of its first and count
        rows and columns from there; text goes on after the larger side (Qwen2-VL, 2409.12191, section 2.1). Agrees
        with transformers' ``get_rope_index``, without its tensor work per token run.
        """
        length = len(input_ids)
        positions = np.empty((3, length), dtype=np.int64)
        is_placeholder = np.isin(input_ids, placeholder_ids)
        cursor, position = 0, 0
        grids, merge_size = ([], 1) if vision is None else (vision.grid_thw.tolist(), vision.merge_size)
        for frames, height, width in grids:
            start = cursor + int(np.argmax(is_placeholder[cursor:]))
            rows, columns = height // merge_size, width // merge_size
            end = start + frames * rows * columns
            assert is_placeholder[start:end].all(), "a grid and its placeholder tokens differ"
            positions[:, cursor:start] = position + np.arange(start - cursor)
            position += start - cursor
            grid = np.indices((frames, rows, columns)).reshape(3, -1)
            positions[:, start:end] = position + grid
            position += max(rows, columns)
            cursor = end
        assert not is_placeholder[cursor:].any(), "a placeholder token without a grid"
        positions[:, cursor:] = position + np.arange(length - cursor)
        return positions

    def hidden_states(
        self,
        model: Any,
        input_ids: torch.Tensor,
        position_ids: torch.Tensor,
        vision: VisionFeatures | None,
        vision_rows: torch.Tensor | None,
    ) -> torch.Tensor:
        """Last hidden states [batch, length, hidden] of right-padded or packed rows.

        No attention mask is passed: behind causal attention right padding is never seen, and packed rows are told
        apart by their restarting text positions (``position_ids[0]``).
        """
        import torch

        language = model.model.language_model
        embeddings = language.embed_tokens(input_ids)
        if vision is None or vision_rows is None:
            if vision is not None:  # a blank picture: part of the graph, not of the result
                embeddings = embeddings + 0.0 * sum(part.sum() for part in (vision.merged, *vision.deepstack))
            return language(
                inputs_embeds=embeddings, position_ids=position_ids, use_cache=False
            ).last_hidden_state
        is_visual = torch.isin(input_ids, input_ids.new_tensor(self.placeholder_ids(model.config)))
        starts = np.concatenate([[0], np.cumsum(vision.tokens_per_grid)])
        picked = np.concatenate([np.arange(starts[row], starts[row + 1]) for row in vision_rows.tolist()])
        index = torch.from_numpy(picked).to(embeddings.device)
        embeddings = embeddings.masked_scatter(
            is_visual[..., None], vision.merged[index].to(embeddings.dtype)
        )
        hidden: torch.Tensor = language(
            inputs_embeds=embeddings,
            position_ids=position_ids,
            use_cache=False,
            visual_pos_masks=is_visual,
            deepstack_visual_embeds=[features[index] for features in vision.deepstack],
        ).last_hidden_state
        return hidden

    def lm_head(self, model: Any) -> nn.Linear:
        head: nn.Linear = model.lm_head
        return head


def _implementation(attention: str) -> str | dict[str, str]:
    """What transformers calls it."""
    from rl.families import varlen_attention

    if attention != varlen_attention.NAME:
        return attention
    varlen_attention.register()  # for texts: the vision tower has none
    return {"text_config": attention, "vision_config": "sdpa", "": "sdpa"}


def _with_batched_vision(model: Any) -> nn.Module:
    from rl.families.vision_batches import attend_in_batches

    attend_in_batches(model.model.visual)
    made: nn.Module = model.eval()
    return made
