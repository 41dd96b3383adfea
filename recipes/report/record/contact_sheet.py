"""A video inside the page: a few of its frames in one picture, which every browser shows whatever the codec."""

from __future__ import annotations

import io

import numpy as np

NUM_FRAMES = 6
NUM_COLUMNS = 2
MAX_FRAME_SIDE_PX = 160
GAP_PX = 2


def contact_sheet(encoded: bytes) -> bytes:
    """PNG of at most `NUM_FRAMES` frames, evenly spaced, the first and the last among them. Raises: BadInput for what
    does not decode."""
    from PIL import Image

    from sampler.data.video import decode_video

    clip = decode_video(encoded, _spread)
    frames = [Image.fromarray(frame) for frame in clip.frames]
    for frame in frames:
        frame.thumbnail((MAX_FRAME_SIDE_PX, MAX_FRAME_SIDE_PX))
    width, height = frames[0].size
    across, down = width + GAP_PX, height + GAP_PX
    num_columns = min(NUM_COLUMNS, len(frames))
    num_rows = -(-len(frames) // num_columns)
    sheet = Image.new("RGB", (num_columns * across - GAP_PX, num_rows * down - GAP_PX), "white")
    for number, frame in enumerate(frames):
        row, column = divmod(number, num_columns)
        sheet.paste(frame, (column * across, row * down))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _spread(num_frames: int, fps: float) -> list[int]:
    return np.linspace(0, num_frames - 1, min(NUM_FRAMES, num_frames)).round().astype(int).tolist()
