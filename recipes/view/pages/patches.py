"""What a vision tower is given, turned back into pictures."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt

from sampler.vision_input import data_url

Floats = npt.NDArray[np.float32]


def unpatched(patches: Floats, grid: tuple[int, int, int], size: int, merge: int) -> Floats:
    """The frames [t * temporal, 3, height, width] out of Qwen2-VL's patches [t * h * w, 3 * temporal * size * size]; a
    picture is so many equal frames.

    Patches of one token (``merge`` x ``merge``) lie beside each other; see transformers' Qwen2VLImageProcessor.
    """
    times, height, width = grid
    temporal = patches.shape[1] // (3 * size * size)
    cells = patches.reshape(times, height // merge, width // merge, merge, merge, 3, temporal, size, size)
    # [t, rows, columns, down, right, channel, temporal, y, x] ->
    # [t, temporal, channel, rows, down, y, columns, right, x]
    return cells.transpose(0, 6, 5, 1, 3, 7, 2, 4, 8).reshape(
        times * temporal, 3, height * size, width * size
    )


def shown_pixels(processor: Any, pixels: Floats) -> Floats:
    """Pixels [..., 3, height, width] from 0 to 1, of those that a processor of pictures or videos made."""
    if getattr(processor, "do_normalize", True):
        pixels = pixels * _of_channels(processor.image_std) + _of_channels(processor.image_mean)
    return pixels if getattr(processor, "do_rescale", True) else pixels / np.float32(255)


def uri_of(pixels: Floats) -> str:
    """A PNG of [3, height, width] from 0 to 1."""
    return _uri((pixels.clip(0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0))


def small_uri(frame: npt.NDArray[np.uint8], side: int) -> str:
    """A picture of [height, width, 3] with at most ``side`` pixels across and down."""
    return _uri(frame, side)


def _of_channels(values: Any) -> Floats:
    return np.asarray(values, np.float32).reshape(-1, 1, 1)


def _uri(pixels: npt.NDArray[np.uint8], side: int | None = None) -> str:
    from PIL import Image

    buffer, picture = io.BytesIO(), Image.fromarray(pixels)
    if side is not None:
        picture.thumbnail((side, side))
    picture.save(buffer, "PNG")
    return data_url(buffer.getvalue())
