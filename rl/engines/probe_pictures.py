"""Pictures that decoders take for different ones: the proof before a run asks whether sampler and trainer do."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import ExifTags, Image

from sampler.prompt import Prompt


def odd_pictures(prompts: Sequence[Prompt]) -> list[Prompt]:
    """The first prompt with pictures, three times with its own ones: stored on their side with the EXIF tag that turns
    them, drawn in black on a clear ground, and in 16 bits. Empty where no prompt has pictures."""
    first = next((prompt for prompt in prompts if prompt.images), None)
    if first is None:
        return []
    shown = first.pil_images()
    return [
        replace(
            first,
            prompt_id=f"{first.prompt_id}-{name}",
            images=Prompt.build(messages=[], images=files).images,
        )
        for name, files in (
            ("turned", [_turned(image) for image in shown]),
            ("clear", [_clear(image) for image in shown]),
            ("16-bit", [_sixteen_bits(image) for image in shown]),
        )
    ]


def _turned(image: Image.Image) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # a quarter turn to the right
    return _png(image.transpose(Image.Transpose.ROTATE_90), exif=exif)


def _clear(image: Image.Image) -> bytes:
    """Ink where the picture is dark."""
    drawing = Image.new("RGBA", image.size, "black")
    drawing.putalpha(Image.fromarray(255 - np.asarray(image.convert("L"))))
    return _png(drawing)


def _sixteen_bits(image: Image.Image) -> bytes:
    return _png(Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257))


def _png(image: Image.Image, **options: Image.Exif) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()
