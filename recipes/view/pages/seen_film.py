"""A film as the processor of a policy hands it on: the frames that are chosen, their times, and the token grid."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from recipes.view.pages.patches import shown_pixels, small_uri, unpatched, uri_of
from sampler.data.media.video import VideoClip, clip_for, decode_video, processed_clip
from sampler.frame_schedule import FrameSchedule
from verifiers.errors import BadInput

PAGE_SIZE = 8  # pictures of a film on a page
MAX_FILMED_PX = 320


@dataclass(frozen=True)
class FilmedFrame:
    """A frame of the file: its place from 0, when it is in seconds, and the picture."""

    index: int
    time_s: float
    uri: str


@dataclass(frozen=True)
class FilmPicture:
    """What the model tells apart in time: ``filmed`` are the frames of the file that it is made of, ``seen`` the same
    as the vision tower gets them, ``words`` what the prompt says before its tokens."""

    number: int
    words: str
    filmed: list[FilmedFrame]
    seen: list[str]


@dataclass(frozen=True)
class SeenFilm:
    """Some pictures of ``num_pictures``, each ``width`` x ``height`` pixels and ``columns`` x ``rows`` tokens. The file
    has ``num_frames`` of ``filmed_size`` at ``fps`` a second. ``page`` of ``num_pages``, from 1."""

    pictures: list[FilmPicture]
    num_pictures: int
    num_chosen: int
    width: int
    height: int
    columns: int
    rows: int
    num_frames: int
    fps: float
    filmed_size: tuple[int, int]
    rule: str
    page: int
    num_pages: int

    @property
    def seconds(self) -> float:
        return self.num_frames / self.fps

    @property
    def tokens_each(self) -> int:
        return self.columns * self.rows

    @property
    def num_tokens(self) -> int:
        return self.num_pictures * self.tokens_each


def seen_film(processor: Any, encoded: bytes, schedule: FrameSchedule | None, page: int = 1) -> SeenFilm:
    """The frames are chosen and processed as the sampler and the trainer have it. Raises: BadInput for a film that does
    not decode, and where the processor takes no films, or not in patches as Qwen-VL's does."""
    videos: Any = getattr(processor, "video_processor", None)
    clip = clip_for(encoded, videos, schedule)
    features = processed_clip(clip, videos)
    if "video_grid_thw" not in features:
        raise BadInput("the model's processor makes no patches of films that could be shown")
    times, height, width = map(int, features["video_grid_thw"][0])
    merge, num_pages = int(videos.merge_size), -(-times // PAGE_SIZE)
    page = min(max(page, 1), num_pages)
    shown = range(times)[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
    patches = np.asarray(features["pixel_values_videos"], np.float32).reshape(times, height * width, -1)
    part = patches[shown.start : shown.stop].reshape(-1, patches.shape[-1])
    frames = shown_pixels(videos, unpatched(part, (len(shown), height, width), videos.patch_size, merge))
    merged = len(frames) // len(shown)
    filmed, size = _filmed(encoded, clip, shown, merged)
    words, seen = _words(processor, features, times), [uri_of(frame) for frame in frames]
    return SeenFilm(
        pictures=[
            FilmPicture(number, words[number], filmed[at], seen[at * merged : (at + 1) * merged])
            for at, number in enumerate(shown)
        ],
        num_pictures=times,
        num_chosen=len(clip.indices),
        width=frames.shape[3],
        height=frames.shape[2],
        columns=width // merge,
        rows=height // merge,
        num_frames=clip.num_frames,
        fps=clip.fps,
        filmed_size=size,
        rule=_rule(schedule),
        page=page,
        num_pages=num_pages,
    )


def _filmed(
    encoded: bytes, clip: VideoClip, shown: range, merged: int
) -> tuple[list[list[FilmedFrame]], tuple[int, int]]:
    """The frames of the file behind each picture, as they were filmed, and their width and height. Where the last
    picture lacks a frame the processor repeats the one before; it is listed once."""
    places = [clip.indices[number * merged : (number + 1) * merged] for number in shown]
    wanted = [index for one in places for index in one]
    original = decode_video(encoded, lambda num_frames, fps: wanted)
    frame_at = dict(zip(original.indices, original.frames, strict=True))
    filmed = [
        [FilmedFrame(index, index / clip.fps, small_uri(frame_at[index], MAX_FILMED_PX)) for index in one]
        for one in places
    ]
    height, width = original.frames.shape[1:3]
    return filmed, (width, height)


def _words(processor: Any, features: Any, num_pictures: int) -> list[str]:
    """What the processor writes before each picture's tokens: for Qwen3-VL its time. Empty where it writes no such
    text."""
    if not hasattr(processor, "replace_video_token"):
        return [""] * num_pictures
    text = processor.replace_video_token(features, 0)
    before = re.split(f"(?:{re.escape(processor.video_token)})+", text)[:-1]
    frame = [getattr(processor, f"vision_{name}_token", "") for name in ("start", "end")]
    for mark in filter(None, frame):
        before = [words.replace(mark, "") for words in before]
    return before if len(before) == num_pictures else [""] * num_pictures


def _rule(schedule: FrameSchedule | None) -> str:
    if schedule is None:
        return "chosen by the processor's own rule"
    return f"chosen by data.video ({schedule.fps:g} pictures a second)"
