"""Frames as a film, each with the second it is of, so that no two are alike and times can be read."""

from __future__ import annotations

from collections.abc import Callable

from recipes.gym.canvas import BLACK, WHITE, Canvas, film_of

SECONDS_PER_FRAME = 0.5  # as Qwen3-VL looks: two frames a second
STAMP = 0.16  # of the height, for the second


def film(px: int, num_frames: int, paint: Callable[[Canvas, float], None]) -> bytes:
    """``paint`` draws what is seen at a second; the top strip is the stamp's."""
    frames = []
    for index in range(num_frames):
        canvas, second = Canvas(px, WHITE), index * SECONDS_PER_FRAME
        paint(canvas, second)
        canvas.box((0, 0, 1000, 1000 * STAMP), BLACK)
        canvas.text((500, 500 * STAMP), f"{second:.1f} s", colour=WHITE)
        frames.append(canvas.image())
    return film_of(frames, SECONDS_PER_FRAME)
