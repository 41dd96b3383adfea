"""A prompt's picture or video inside the page: a data URI of bounded size."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sampler.vision_input import data_url
from verifiers.errors import BadInput

MAX_SIDE_PX = 512
MAX_RAW_BYTES = 48 * 1024
NUM_FRAMES, NUM_COLUMNS = 6, 2  # of a video's contact sheet
MAX_FRAME_SIDE_PX, GAP_PX = 160, 2


@dataclass(frozen=True)
class Picture:
    """`uri` is None for bytes that are no picture. `tiny` pictures are enlarged without smoothing; a `film` is a few
    of a video's frames in one picture."""

    uri: str | None
    width: int = 0
    height: int = 0
    film: bool = False

    @property
    def tiny(self) -> bool:
        return max(self.width, self.height) <= 64

    @classmethod
    def of(cls, encoded: bytes | None) -> Picture:
        """What is small goes in as it is, or as a PNG where browsers would show it another way; else shrunk, as PNG."""
        from sampler.image import decode_image, portable_image

        try:
            shrunk, shown = decode_image(encoded or b""), portable_image(encoded or b"")
        except BadInput:
            return cls(None)
        width, height = shrunk.size
        if len(shown) <= MAX_RAW_BYTES:
            return cls(data_url(shown), width, height)
        shrunk.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX))
        return cls(data_url(_png(shrunk)), width, height)

    @classmethod
    def of_video(cls, encoded: bytes | None) -> Picture:
        """A contact sheet of a video."""
        try:
            return replace(cls.of(contact_sheet(encoded or b"")), film=True)
        except BadInput:
            return cls(None)


def evenly(num_frames: int, fps: float) -> list[int]:
    """The frames of a video that are shown: at most `NUM_FRAMES`, the first and the last among them."""
    return np.linspace(0, num_frames - 1, min(NUM_FRAMES, num_frames)).round().astype(int).tolist()


def contact_sheet(encoded: bytes) -> bytes:
    """PNG of at most `NUM_FRAMES` frames of a video, evenly spaced, the first and the last among them, which every
    browser shows whatever the codec. Raises: BadInput for what does not decode."""
    from PIL import Image

    from sampler.data.media.video import decode_video

    frames = [Image.fromarray(frame) for frame in decode_video(encoded, evenly).frames]
    for frame in frames:
        frame.thumbnail((MAX_FRAME_SIDE_PX, MAX_FRAME_SIDE_PX))
    across, down = (side + GAP_PX for side in frames[0].size)
    num_columns = min(NUM_COLUMNS, len(frames))
    num_rows = -(-len(frames) // num_columns)
    sheet = Image.new("RGB", (num_columns * across - GAP_PX, num_rows * down - GAP_PX), "white")
    for number, frame in enumerate(frames):
        row, column = divmod(number, num_columns)
        sheet.paste(frame, (column * across, row * down))
    return _png(sheet)


def _png(image: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
