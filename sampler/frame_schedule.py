"""Which frames of a film are shown and at how many tokens each: Seed1.5-VL's dynamic frame-resolution sampling."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

TIERS = (640, 512, 384, 256, 160, 128)
MAX_TOKENS = 81_920


class FramePlan(NamedTuple):
    """Places of the frames in the file, from 0; as many to a picture as the model merges. Tokens a picture at most."""

    indices: tuple[int, ...]
    tokens: int


@dataclass(frozen=True)
class FrameSchedule:
    """How one film is shown (Seed1.5-VL, arXiv 2505.07062, section 2.2): ``fps`` pictures a second, each at the highest
    of the ``tiers`` of tokens at which all of them fit in ``max_tokens``. Where not even the lowest lets them fit, as
    many as fit, evenly spaced over the film.

    A picture is what the model tells apart in time: Qwen3-VL merges two frames into one, which are both taken of the
    picture's share of the time.
    """

    fps: float = 1.0
    tiers: tuple[int, ...] = TIERS
    max_tokens: int = MAX_TOKENS

    def plan(
        self, num_frames: int, video_fps: float, *, merged: int = 1, limit: int | None = None
    ) -> FramePlan:
        """Of a film of ``num_frames`` at ``video_fps`` a second; ``merged`` frames make a picture, and the model itself
        takes no more than ``limit`` tokens.

        >>> FrameSchedule(fps=1.0).plan(10, 2.0)
        FramePlan(indices=(0, 2, 4, 6, 8), tokens=640)
        >>> FrameSchedule(fps=1.0, tiers=(8, 4), max_tokens=12).plan(10, 2.0)
        FramePlan(indices=(0, 3, 7), tokens=4)
        """
        budget = self.max_tokens if limit is None else min(self.max_tokens, limit)
        duration = num_frames / video_fps
        # A film that ends within a picture's time shows that picture too; rounding errors make no picture.
        wanted = max(1, math.ceil(duration * self.fps - 1e-6))
        tiers = sorted(self.tiers, reverse=True)
        tokens = next((tier for tier in tiers if wanted * tier <= budget), tiers[-1])
        num_pictures = min(wanted, max(1, budget // tokens))
        step = 1 / self.fps if num_pictures == wanted else duration / num_pictures
        times = (
            (picture + part / merged) * step for picture in range(num_pictures) for part in range(merged)
        )
        return FramePlan(tuple(min(int(time * video_fps + 1e-6), num_frames - 1) for time in times), tokens)


def fitted_size(width: int, height: int, *, tokens: int, unit: int) -> tuple[int, int]:
    """Width and height of a frame that takes at most ``tokens``, of which one covers ``unit`` by ``unit`` pixels: as it
    is where that fits, else whole units in about the same shape.

    >>> fitted_size(1920, 1080, tokens=640, unit=28)
    (924, 504)
    """
    columns, rows = max(1, round(width / unit)), max(1, round(height / unit))
    if columns * rows <= tokens:
        return width, height
    scale = math.sqrt(tokens / (width * height))
    columns = min(tokens, max(1, math.floor(width * scale)))
    rows = min(tokens // columns, max(1, math.floor(height * scale)))
    return columns * unit, rows * unit


@dataclass(frozen=True)
class FilmSampling:
    """The schedule of a film by the type of the question about it: what moves fast is looked at more often."""

    fps: float = 1.0
    fps_by_type: Mapping[str, float] = field(default_factory=dict)
    tiers: tuple[int, ...] = TIERS
    max_tokens: int = MAX_TOKENS

    def schedule(self, question_type: str) -> FrameSchedule:
        """Of a prompt whose first tag this is."""
        return FrameSchedule(self.fps_by_type.get(question_type, self.fps), self.tiers, self.max_tokens)
