"""Pictures that are the same but for how they are stored: by their prints, then by their pixels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from PIL import Image

from sampler.duplicates.picture_print import near_pictures
from sampler.duplicates.prompt_prints import PromptPrints
from sampler.image import reduced_image
from sampler.vision_input import VisionInput
from verifiers.errors import BadInput

MAX_SIDE = 512  # in which pixels are compared
BLOCK = (
    4  # pixels: a mean of 4 x 4 hides what a compression does and one changed pixel, and shows another letter
)
MAX_BLOCK = 20.0  # of 255; one pixel from black to white makes 16
MAX_COLOUR = (
    60.0  # of one of its colours: JPEG makes 50 at edges between colours, a red dot turned green 110 and more
)


class LookAlikes:
    """Between two sets, which may be one. A pair of pictures is decoded where somebody asks for it, once."""

    def __init__(self, ones: PromptPrints, others: PromptPrints) -> None:
        self._inputs = others.inputs | ones.inputs
        names, other_names = list(ones.pictures.index), list(others.pictures.index)
        self._near: dict[str, dict[str, int]] = defaultdict(dict)
        for at, to, bits in near_pictures(ones.pictures, others.pictures):
            self._near[names[at]][other_names[to]] = bits
        self._same: dict[tuple[str, str], bool] = {}

    def of(self, name: str) -> Iterator[str]:
        """The picture itself, and those that may be the same, the most alike first."""
        yield name
        yield from (other for other in self._near.get(name, ()) if other != name)

    def bits(self, shown: Sequence[str], others: Sequence[str]) -> int | None:
        """The largest number of bits in which hashes of pictures in order differ; None where two are not the same."""
        if len(shown) != len(others):
            return None
        bits = [0 if a == b else self._near.get(a, {}).get(b) for a, b in zip(shown, others, strict=True)]
        if None in bits or not all(map(self._are_same, shown, others)):
            return None
        return max((one or 0 for one in bits), default=0)

    def _are_same(self, one: str, other: str) -> bool:
        if one == other:
            return True
        key = (one, other) if one < other else (other, one)
        if key not in self._same:
            self._same[key] = are_same(self._inputs[key[0]], self._inputs[key[1]])
        return self._same[key]


def are_same(one: VisionInput, other: VisionInput) -> bool:
    """Whether no block of the pictures, brought to the size of the smaller one, differs by more than ``MAX_BLOCK``,
    nor one of its colours by more than ``MAX_COLOUR``."""
    try:
        a, b = _small(one), _small(other)
    except BadInput:
        return False
    size = min(a.size, b.size, key=lambda size: size[0] * size[1])
    if abs(a.width * b.height - b.width * a.height) > 0.05 * a.width * b.height:
        return False  # another shape
    pixels = [np.asarray(image.resize(size, Image.Resampling.BOX), np.float32) for image in (a, b)]
    difference = pixels[0] - pixels[1]  # [height, width, 3]
    height, width = (-(-side // BLOCK) * BLOCK for side in difference.shape[:2])
    padded = np.zeros((height, width, 3), np.float32)
    padded[: difference.shape[0], : difference.shape[1]] = difference
    blocks = padded.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK, 3).mean(axis=(1, 3))
    return bool(np.abs(blocks.mean(axis=2)).max() <= MAX_BLOCK and np.abs(blocks).max() <= MAX_COLOUR)


@lru_cache(maxsize=256)
def _small(picture: VisionInput) -> Image.Image:
    image = reduced_image(picture.read(), MAX_SIDE)
    image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.BOX)
    return image
