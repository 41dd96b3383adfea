"""Schedules of films against ones worked out by hand, and against their own rule on random films."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampler.frame_schedule import MAX_TOKENS, TIERS, FilmSampling, FrameSchedule, fitted_size


@pytest.mark.parametrize(
    ("seconds", "fps", "num_pictures", "tokens"),
    [
        (60, 1, 60, 640),  # 38,400
        (128, 1, 128, 640),  # 81,920, just so
        (129, 1, 129, 512),  # 82,560 would be too many: 66,048
        (200, 1, 200, 384),  # 102,400 at 512, 76,800 at 384
        (300, 1, 300, 256),
        (500, 1, 500, 160),  # 80,000
        (640, 1, 640, 128),  # 81,920, just so
        (1000, 1, 640, 128),  # 128,000 at the lowest: 640 of them, one each 1.5625 s
        (100, 2, 200, 384),
        (20, 5, 100, 640),
        (7200, 5, 640, 128),
        (0.5, 1, 1, 640),
    ],
)
def test_published_tiers_and_budget(seconds: float, fps: float, num_pictures: int, tokens: int) -> None:
    indices, each = FrameSchedule(fps).plan(round(seconds * 30), 30.0)
    assert (len(indices), each) == (num_pictures, tokens)
    assert indices[0] == 0
    if num_pictures == 640 and seconds > 640:
        assert indices[1:3] == (int(seconds / 640 * 30), int(seconds / 320 * 30))  # 46 and 93 of 1,000 s
    elif num_pictures > 1:
        assert indices[:3] == tuple(round(k * 30 / fps) for k in range(3))


@pytest.mark.parametrize(
    ("num_frames", "video_fps", "fps", "merged", "limit", "wanted"),
    [
        (
            12,
            4.0,
            1.0,
            2,
            None,
            ((0, 2, 4, 6, 8, 10), 640),
        ),  # two frames, half a second apart, make a picture
        (3, 1.0, 1.0, 2, None, ((0, 0, 1, 1, 2, 2), 640)),  # a frame a second has no second one to merge
        (24, 24.0, 2.0, 1, None, ((0, 12), 640)),
        (40, 4.0, 1.0, 1, 1280, ((0, 4, 8, 12, 16, 20, 24, 28, 32, 36), 128)),  # the model's own limit counts
        (40, 4.0, 1.0, 1, 300, ((0, 20), 128)),
        (40, 4.0, 1.0, 1, 5, ((0,), 128)),  # one picture there must be
        (10, 29.97, 1.0, 1, None, ((0,), 640)),
        (61, 29.97, 1.0, 1, None, ((0, 29, 59), 640)),
    ],
)
def test_frames_by_hand(
    num_frames: int,
    video_fps: float,
    fps: float,
    merged: int,
    limit: int | None,
    wanted: tuple[tuple[int, ...], int],
) -> None:
    assert FrameSchedule(fps).plan(num_frames, video_fps, merged=merged, limit=limit) == wanted


@given(
    num_frames=st.integers(1, 400_000),
    video_fps=st.floats(0.1, 240),
    fps=st.floats(0.05, 60),
    merged=st.integers(1, 3),
    budget=st.integers(128, 200_000),
)
def test_any_film_fits(num_frames: int, video_fps: float, fps: float, merged: int, budget: int) -> None:
    indices, tokens = FrameSchedule(fps, TIERS, budget).plan(num_frames, video_fps, merged=merged)
    assert list(indices) == sorted(indices) and indices[0] >= 0 and indices[-1] < num_frames
    assert len(indices) % merged == 0 and len(indices) // merged * tokens <= budget
    assert tokens in TIERS
    num_pictures, seconds = len(indices) // merged, num_frames / video_fps
    if num_pictures < seconds * fps - 1e-3:  # left out only where nothing else helps
        assert tokens == min(TIERS) and (num_pictures + 1) * tokens > budget
    else:
        assert all(num_pictures * tier > budget for tier in TIERS if tier > tokens)


@pytest.mark.parametrize(
    ("size", "tokens", "wanted"),
    [
        ((1920, 1080), 640, (924, 504)),  # 33 x 18 = 594 of units of 28
        ((1080, 1920), 640, (504, 924)),
        ((280, 280), 640, (280, 280)),  # 100 fit as they are
        ((2800, 28), 50, (1400, 28)),  # thinner than a unit it cannot be
        ((5000, 30), 1, (28, 28)),
    ],
)
def test_size_of_a_frame(size: tuple[int, int], tokens: int, wanted: tuple[int, int]) -> None:
    assert fitted_size(*size, tokens=tokens, unit=28) == wanted


def test_the_question_says_how_often_to_look() -> None:
    sampling = FilmSampling(1.0, {"count": 5.0}, (64,), 1000)
    assert sampling.schedule("count") == FrameSchedule(5.0, (64,), 1000)
    assert sampling.schedule("sum").fps == 1.0
    assert (FilmSampling().tiers, FilmSampling().max_tokens) == ((640, 512, 384, 256, 160, 128), MAX_TOKENS)
