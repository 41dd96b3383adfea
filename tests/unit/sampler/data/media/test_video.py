"""Videos in: what decodes, what is refused, and that the frames are those that transformers itself would choose."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sampler.data.media import video
from sampler.data.media.media_bytes import encoded_bytes
from sampler.data.media.video import check_video, clip_for, decode_video
from sampler.frame_schedule import FrameSchedule
from sampler.image import ImageLimits
from sampler.vision_input import data_url, media_type
from verifiers.errors import BadInput

VideoFile = Callable[..., bytes]


def frames(num_frames: int, height: int = 32, width: int = 48, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 255, (num_frames, height, width, 3), dtype=np.uint8)


def every(num_frames: int, fps: float) -> range:
    return range(num_frames)


def processor(**fields: Any) -> Any:
    from transformers import Qwen3VLVideoProcessor

    return Qwen3VLVideoProcessor(**fields)


def test_frames_come_back_as_they_were(video_file: VideoFile) -> None:
    shown = frames(7)
    clip = decode_video(video_file(shown, fps=3.0), every)
    np.testing.assert_array_equal(clip.frames, shown)
    assert (clip.indices, clip.num_frames, clip.fps) == (tuple(range(7)), 7, 3.0)
    assert clip.metadata()["duration"] == pytest.approx(7 / 3)


def test_a_film_is_shown_as_a_picture_would_be(video_file: VideoFile) -> None:
    """What is clear lies on white, and what was filmed on its side is turned as the file says."""
    frames = [Image.new("RGBA", (32, 32), (0, 0, 0, 0)) for _ in range(2)]
    for frame, colour in zip(frames, ("red", "blue"), strict=True):
        frame.paste(colour, (8, 8, 24, 24))
    gif = io.BytesIO()
    frames[0].save(gif, "GIF", save_all=True, append_images=frames[1:], duration=500, disposal=2)
    shown = decode_video(gif.getvalue(), every).frames
    assert shown[:, 0, 0].tolist() == [[255, 255, 255]] * 2
    assert shown[:, 12, 12].tolist() == [[255, 0, 0], [0, 0, 255]]

    half = np.zeros((4, 32, 48, 3), np.uint8)
    half[:, :16] = 200
    filmed = video_file(half, codec="mp4v", suffix=".mp4")
    one, none, minus, end = ((number).to_bytes(4, "big") for number in (0x10000, 0, 0xFFFF0000, 0x40000000))
    upright = one + none * 3 + one + none * 3 + end
    turned = none + one + none + minus + none * 4 + end  # a quarter turn to the right
    at = filmed.index(upright, filmed.index(b"tkhd"))
    (frame,) = decode_video(filmed[:at] + turned + filmed[at + len(turned) :], lambda *_: [0]).frames
    assert frame.shape == (48, 32, 3)
    assert frame[:, :12].max() < 30
    assert frame[:, 20:].min() > 170


@pytest.mark.parametrize(
    ("codec", "suffix", "named"),
    [
        ("mp4v", ".mp4", "video/mp4"),
        ("mp4v", ".mov", "video/mp4"),
        ("VP80", ".webm", "video/webm"),
        ("MJPG", ".avi", "video/x-msvideo"),
    ],
)
def test_containers(video_file: VideoFile, codec: str, suffix: str, named: str) -> None:
    """Lossy, so a colour ramp comes back nearly; a data URL of it is read again."""
    shown = (
        np.repeat(np.arange(8, dtype=np.uint8)[:, None, None, None] * 30, 48, 1).repeat(48, 2).repeat(3, 3)
    )
    encoded = video_file(shown, codec=codec, suffix=suffix)
    assert media_type(encoded) == named
    assert encoded_bytes(data_url(encoded), None, "video") == encoded
    clip = decode_video(encoded, every)
    assert clip.frames.shape == shown.shape
    assert np.abs(clip.frames.astype(int) - shown).max() < 16


def test_an_animated_gif_is_a_video() -> None:
    pictures = [Image.new("RGB", (32, 32), colour) for colour in ("red", "lime", "blue")]
    buffer = io.BytesIO()
    pictures[0].save(buffer, "GIF", save_all=True, append_images=pictures[1:], duration=500)
    clip = decode_video(buffer.getvalue(), every)
    assert clip.frames[:, 5, 5].argmax(axis=-1).tolist() == [0, 1, 2]
    assert clip.fps == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("num_frames", "fps", "fields"),
    [
        (40, 10.0, {}),
        (9, 30.0, {}),
        (3, 1.0, {}),
        (50, 5.0, {"max_frames": 6}),
        (20, 4.0, {"num_frames": 5, "fps": None}),
        (4, 4.0, {"do_sample_frames": False}),
    ],
)
def test_the_processor_chooses_the_frames(
    video_file: VideoFile, num_frames: int, fps: float, fields: dict[str, Any]
) -> None:
    """Against the processor given all frames and left to itself: the same pixels, the same metadata."""
    shown, chosen = frames(num_frames), processor(**fields)
    clip = clip_for(video_file(shown, fps=fps), chosen)
    ours = video.processed_clip(clip, chosen)
    theirs = chosen(
        videos=[shown],
        video_metadata=[
            {"total_num_frames": num_frames, "fps": fps, "frames_indices": list(range(num_frames))}
        ],
        return_metadata=True,
        return_tensors="pt",
    )
    assert bool((ours["pixel_values_videos"] == theirs["pixel_values_videos"]).all())
    assert ours["video_grid_thw"].tolist() == theirs["video_grid_thw"].tolist()
    assert list(ours["video_metadata"][0].frames_indices) == list(theirs["video_metadata"][0].frames_indices)


def test_a_schedule_chooses_frames_and_size(video_file: VideoFile) -> None:
    """Of a film of 6 s: three pictures of two frames each, which the processor leaves as they are."""
    chosen = processor(size={"shortest_edge": 32 * 32, "longest_edge": 64 * 32 * 32 * 2})
    schedule = FrameSchedule(fps=0.5, tiers=(12, 6, 2), max_tokens=20)
    clip = clip_for(video_file(frames(24, 96, 160), fps=4.0), chosen, schedule)
    assert clip.indices == (0, 4, 8, 12, 16, 20) and clip.frames.shape[1:3] == (
        32,
        96,
    )  # 1 x 3 of at most 6 tokens
    grid = video.processed_clip(clip, chosen)["video_grid_thw"]
    assert grid.tolist() == [[3, 2, 6]]
    small = processor(size={"shortest_edge": 32 * 32, "longest_edge": 6 * 32 * 32 * 2})
    assert video.film_tokens(small) == 6
    assert clip_for(video_file(frames(24, 96, 160), fps=4.0), small, schedule).frames.shape[1:3] == (32, 32)


def test_a_large_film_is_shrunk_as_it_is_read(video_file: VideoFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "MAX_CLIP_BYTES", 8 * 32 * 32 * 3)
    film, schedule = video_file(frames(8, 64, 96), fps=4.0), FrameSchedule(fps=2.0, tiers=(2,))
    with pytest.raises(BadInput, match="make its frames smaller"):
        clip_for(film, processor())
    assert clip_for(film, processor(), schedule).frames.shape == (8, 32, 32, 3)


def test_a_model_without_videos() -> None:
    with pytest.raises(BadInput, match="takes no videos"):
        clip_for(b"", None)


def test_a_file_cut_short_is_asked_again(video_file: VideoFile) -> None:
    """The header claims 30 frames, fewer are there: the rule is asked with the number that there are."""
    whole = video_file(frames(30))
    asked: list[int] = []

    def last(num_frames: int, fps: float) -> tuple[int, int]:
        asked.append(num_frames)
        return 0, num_frames - 1

    clip = decode_video(whole[: len(whole) // 2], last)
    assert asked[0] > asked[1] == clip.num_frames
    assert clip.frames.shape[0] == 2


def test_a_header_that_does_not_count(video_file: VideoFile, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = video._open
    monkeypatch.setattr(video, "_open", lambda *given: (opened(*given)[0], 0, 4.0))
    assert decode_video(video_file(frames(5)), every).num_frames == 5


def test_refused(video_file: VideoFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = video_file(frames(3))
    png = io.BytesIO()
    Image.new("RGB", (8, 8)).save(png, "PNG")
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(whole)
    playlist = f"#EXTM3U\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n".encode()
    for value, words in [
        (b"", "empty"),
        (b"no video" * 9, "none of MP4 or MOV"),
        (png.getvalue(), "none of MP4 or MOV"),
        (playlist, "none of MP4 or MOV"),
        (f"ffconcat version 1.0\nfile {secret}\n".encode(), "none of MP4 or MOV"),
        (whole[:200], "does not open|no frame that decodes"),
        ("missing.mp4", "no such video file"),
        ("https://example.org/a.mp4", "videos are not fetched"),
        ({"fps": 3}, "neither bytes nor path"),
        (3.5, "got float"),
        ("data:video/mp4;base64,%%%", "base64"),
    ]:
        with pytest.raises(BadInput, match=words):
            check_video(encoded_bytes(value, tmp_path, "video"))
    with pytest.raises(BadInput, match=r"48 x 32 pixels: one side is more than 1.4 times the other"):
        check_video(whole, ImageLimits(max_aspect=1.4))
    monkeypatch.setattr(video, "MAX_PIXELS", 1000)
    with pytest.raises(BadInput, match="claim 48 x 32 pixels"):
        check_video(whole)
    monkeypatch.undo()
    monkeypatch.setattr(video, "MAX_FRAMES", 2)
    with pytest.raises(BadInput, match="claims 3 frames"):
        check_video(whole)
    monkeypatch.undo()
    monkeypatch.setattr(video, "MAX_CLIP_BYTES", 2 * 48 * 32 * 3)
    with pytest.raises(BadInput, match="make its frames smaller"):
        decode_video(whole, every)


@settings(max_examples=600, deadline=None)
@given(
    cut=st.integers(12, 4000),
    flips=st.lists(st.tuples(st.integers(12, 4000), st.integers(0, 255)), max_size=12),
)
def test_broken_bytes_are_bad_input_or_frames(
    video_file: VideoFile, cut: int, flips: list[tuple[int, int]]
) -> None:
    whole = bytearray(video_file(np.zeros((6, 32, 32, 3), np.uint8), codec="mp4v", suffix=".mp4"))
    for index, value in flips:
        whole[index % len(whole)] = value
    try:
        clip = decode_video(bytes(whole[:cut]), every)
    except BadInput:
        return
    assert clip.frames.ndim == 4
    assert len(clip.frames) == len(clip.indices) <= clip.num_frames


def test_a_row_without_frames_per_second(video_file: VideoFile, monkeypatch: pytest.MonkeyPatch) -> None:
    header = {0: 32.0, 1: 32.0, 2: float("nan"), 3: 2.0}
    silent = SimpleNamespace(isOpened=lambda: True, get=header.get)
    cv2 = SimpleNamespace(
        VideoCapture=lambda *given: silent,
        CAP_FFMPEG=0,
        CAP_PROP_FRAME_WIDTH=0,
        CAP_PROP_FRAME_HEIGHT=1,
        CAP_PROP_FPS=2,
        CAP_PROP_FRAME_COUNT=3,
    )
    monkeypatch.setattr(video, "_cv2", lambda: cv2)
    with pytest.raises(BadInput, match="frames a second"):
        check_video(video_file(frames(2)))
