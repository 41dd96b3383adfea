"""Pictures and videos as the vision tower takes them, kept from one optimizer step to the next."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from sampler.data.video import clip_for, processed_clip
from sampler.vision_input import VisionInput

if TYPE_CHECKING:
    from rl.families.family import ModelFamily


@dataclass(frozen=True, eq=False)
class Patches:
    """What the visuals of a prompt come to: pixel_values [patches, features], and a grid a run of placeholders,
    grid_thw [runs, 3]."""

    pixel_values: torch.Tensor
    grid_thw: torch.Tensor

    @classmethod
    def joined(cls, parts: Sequence[Patches]) -> Patches:
        if len(parts) == 1:
            return parts[0]
        return cls(
            torch.cat([part.pixel_values for part in parts]), torch.cat([part.grid_thw for part in parts])
        )


class VisionCache:
    """Processed visuals by prompt, least recently used dropped beyond ``limit_bytes``."""

    def __init__(self, processor: Any, family: ModelFamily, limit_bytes: int) -> None:
        self._processor = processor
        self._family = family
        self._limit_bytes = limit_bytes
        self._held: OrderedDict[str, Patches] = OrderedDict()
        self._bytes = 0

    def get(self, wanted: Sequence[tuple[str, tuple[VisionInput, ...]]]) -> list[Patches]:
        """Patches of each (prompt id, visuals in the order of the prompt); missing pictures are processed in one call.

        Raises: BadInput for a video that does not decode.
        """
        found = {key: self._held[key] for key, _ in wanted if key in self._held}
        missing = {key: vision_inputs for key, vision_inputs in wanted if key not in found}
        if missing:
            pictures = iter(self._pictures([one for each in missing.values() for one in each]))
            for key, vision_inputs in missing.items():
                found[key] = Patches.joined(
                    [next(pictures) if one.kind == "image" else self._video(one) for one in vision_inputs]
                )
                self._keep(key, found[key])
        for key, _ in wanted:
            if key in self._held:
                self._held.move_to_end(key)
        return [found[key] for key, _ in wanted]

    def _pictures(self, vision_inputs: Sequence[VisionInput]) -> list[Patches]:
        from PIL import Image

        decoded = [
            Image.open(io.BytesIO(one.read())).convert("RGB") for one in vision_inputs if one.kind == "image"
        ]
        if not decoded:
            return []
        output = self._processor.image_processor(images=decoded, return_tensors="pt")
        grids = output["image_grid_thw"].split(1)
        pixels = output["pixel_values"].split([int(grid.prod()) for grid in grids])
        return [Patches(part.clone(), grid) for part, grid in zip(pixels, grids, strict=True)]

    def _video(self, visual: VisionInput) -> Patches:
        video_processor = self._processor.video_processor
        output = processed_clip(clip_for(visual.read(), video_processor), video_processor)
        return Patches(output["pixel_values_videos"], self._family.video_runs(output["video_grid_thw"]))

    def _keep(self, key: str, patches: Patches) -> None:
        self._held[key] = patches
        self._bytes += patches.pixel_values.nbytes
        while self._bytes > self._limit_bytes and self._held:
            _, dropped = self._held.popitem(last=False)
            self._bytes -= dropped.pixel_values.nbytes
