"""A video inside the page: a few of its frames side by side, which every browser shows whatever the codec."""

from __future__ import annotations

import io

import numpy as np

NUM_FRAMES = 6
MAX_FRAME_SIDE_PX = 160
GAP_PX = 2


def film_strip(encoded: bytes) -> bytes:
    """PNG of at most `NUM_FRAMES` frames, evenly spaced from the first to the last. Raises: BadInput for what does not
    decode."""
    from PIL import Image

    from sampler.video import decode_video

    clip = decode_video(encoded, _spread)
    frames = [Image.fromarray(frame) for frame in clip.frames]
    for frame in frames:
        frame.thumbnail((MAX_FRAME_SIDE_PX, MAX_FRAME_SIDE_PX))
    width, height = frames[0].size
    strip = Image.new("RGB", (len(frames) * (width + GAP_PX) - GAP_PX, height), "white")
    for number, frame in enumerate(frames):
        strip.paste(frame, (number * (width + GAP_PX), 0))
    buffer = io.BytesIO()
    strip.save(buffer, "PNG")
    return buffer.getvalue()


def _spread(num_frames: int, fps: float) -> list[int]:
    return np.linspace(0, num_frames - 1, min(NUM_FRAMES, num_frames)).round().astype(int).tolist()
