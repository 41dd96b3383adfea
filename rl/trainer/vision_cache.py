"""Pictures and videos as the vision tower takes them, kept from one optimizer step to the next."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sampler.data.video import clip_for
from sampler.vision_input import VisionInput

if TYPE_CHECKING:
    from rl.families.family import ModelFamily, VisionTensors


class VisionCache:
    """Processed pictures and videos by prompt, least recently used dropped beyond ``limit_bytes``."""

    def __init__(self, processor: Any, family: ModelFamily, limit_bytes: int) -> None:
        self._processor = processor
        self._family = family
        self._limit_bytes = limit_bytes
        self._held: OrderedDict[str, VisionTensors] = OrderedDict()
        self._bytes = 0

    def get(self, wanted: Sequence[tuple[str, tuple[VisionInput, ...]]]) -> list[VisionTensors]:
        """Tensors of each (prompt id, visuals in the order of the prompt); missing pictures are processed in one call.

        Raises: BadInput for a video that does not decode.
        """
        found = {key: self._held[key] for key, _ in wanted if key in self._held}
        missing = {key: vision_inputs for key, vision_inputs in wanted if key not in found}
        if missing:
            pictures = iter(self._pictures([one for each in missing.values() for one in each]))
            for key, vision_inputs in missing.items():
                found[key] = self._family.joined(
                    [next(pictures) if one.kind == "image" else self._video(one) for one in vision_inputs]
                )
                self._keep(key, found[key])
        for key, _ in wanted:
            if key in self._held:
                self._held.move_to_end(key)
        return [found[key] for key, _ in wanted]

    def _pictures(self, vision_inputs: Sequence[VisionInput]) -> list[VisionTensors]:
        from PIL import Image

        decoded = [
            Image.open(io.BytesIO(one.read())).convert("RGB") for one in vision_inputs if one.kind == "image"
        ]
        return self._family.images(self._processor, decoded) if decoded else []

    def _video(self, video: VisionInput) -> VisionTensors:
        return self._family.video(self._processor, clip_for(video.read(), self._processor.video_processor))

    def _keep(self, key: str, vision: VisionTensors) -> None:
        self._held[key] = vision
        self._bytes += vision.nbytes
        while self._bytes > self._limit_bytes and self._held:
            _, dropped = self._held.popitem(last=False)
            self._bytes -= dropped.nbytes
