"""The pictures show what the reference says: measured in their pixels, not read off the code that drew them."""

from __future__ import annotations

import io
import math
import random
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from PIL import Image

from recipes.gym.canvas import COLOURS
from recipes.gym.catalogue import EXERCISES
from recipes.gym.exercise import Question
from recipes.gym.layout import scattered, spaced
from sampler.data.media.video import decode_video

SEEDS = range(6)


def made(name: str, seed: int, difficulty: float, px: int = 112) -> Question:
    return EXERCISES[name].make(random.Random(f"{name} {seed}"), difficulty, px)


def pixels(encoded: bytes) -> np.ndarray:
    """[px, px, 3] integers."""
    return np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB")).astype(int)


def near(picture: np.ndarray, colour: Any, within: int = 12) -> np.ndarray:
    """[px, px] where the colour is."""
    return np.abs(picture - np.array(colour)).max(axis=2) <= within


def box_pixels(box: Any, side: int) -> tuple[slice, slice]:
    x1, y1, x2, y2 = (value * side / 1000 for value in box)
    return slice(max(0, math.floor(y1) - 1), math.ceil(y2) + 1), slice(
        max(0, math.floor(x1) - 1), math.ceil(x2) + 1
    )


@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
def test_a_maze_has_the_walls_of_its_grid(difficulty: float) -> None:
    for seed in SEEDS:
        question = made("maze", seed, difficulty)
        assert isinstance(question.reference, dict)
        grid, picture = question.reference["grid"], pixels(question.images[0])
        cell = len(picture) / len(grid)
        middles = [int((index + 0.5) * cell) for index in range(len(grid))]
        kinds = {"#": (25, 25, 25), "S": COLOURS["green"], "G": COLOURS["red"]}
        for y, row in zip(middles, grid, strict=True):
            for x, mark in zip(middles, row, strict=True):
                colour = tuple(picture[y, x])
                assert colour == kinds[mark] if mark in kinds else min(colour) >= 232


@pytest.mark.parametrize("difficulty", [0.0, 0.6, 1.0])
def test_a_bar_is_as_high_as_is_said(difficulty: float) -> None:
    for seed in SEEDS:
        question = made("bar_chart", seed, difficulty, 448)
        picture = pixels(question.images[0])
        column = picture[:, -12]  # right of the bars: the lines alone
        lines = np.flatnonzero(np.abs(column - column[0]).max(axis=1) > 8)
        groups = np.split(lines, np.flatnonzero(np.diff(lines) > 1) + 1)
        top, bottom = groups[0].mean(), groups[-1].mean()
        bars = max((near(picture, colour) for colour in COLOURS.values()), key=np.sum)
        heights = bars.sum(axis=0)
        filled = np.flatnonzero(heights)
        places = np.split(filled, np.flatnonzero(np.diff(filled) > 1) + 1)
        listed = dict(bar.rsplit(" ", 1) for bar in question.thought.split(", "))
        assert len(places) == len(listed)
        for place, value in zip(places, listed.values(), strict=True):
            top_of_bar = np.flatnonzero(bars[:, int(np.median(place))])[0]
            assert 100 * (bottom - top_of_bar) / (bottom - top) == pytest.approx(float(value), abs=1)
        (asked,) = [name for name in listed if name in question.text]
        assert listed[asked] == question.reference


def test_a_slice_has_its_share_of_the_pie() -> None:
    for seed in SEEDS:
        question = made("pie_chart", seed, 0.8, 448)
        picture = pixels(question.images[0])[: int(448 * 0.85)]
        sizes = [int(near(picture, colour).sum()) for colour in COLOURS.values()]
        shares = [100 * size / sum(sizes) for size in sizes]
        assert min(abs(share - float(str(question.reference))) for share in shares) < 1.5


@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
def test_two_pictures_differ_where_it_is_said_and_nowhere_else(difficulty: float) -> None:
    for seed in SEEDS:
        question = made("spot_difference", seed, difficulty)
        first, second = map(pixels, question.images)
        differs = (first != second).any(axis=2)
        assert isinstance(question.reference, list)
        for one in question.reference:
            inside = box_pixels(one["box"], len(first))
            assert differs[inside].sum() > 10
            assert near(first[inside], COLOURS[one["text"].split()[0]]).any()
            differs[inside] = False
        assert not differs.any()


@pytest.mark.parametrize("name", ["widget_box", "widget_point"])
def test_a_widget_stands_in_its_box(name: str) -> None:
    """A button, a square or a field is framed: its four edges are darker than what is around it."""
    for seed in SEEDS:
        question = made(name, seed, 0.7)
        picture = pixels(question.images[0]).mean(axis=2)
        assert isinstance(question.reference, list)
        x1, y1, x2, y2 = (round(value * len(picture) / 1000) for value in question.reference[0])
        assert 0 <= x1 < x2 <= len(picture) and 0 <= y1 < y2 <= len(picture)
        if name == "widget_box":
            middle_x, middle_y = (x1 + x2) // 2, (y1 + y2) // 2
            edges = [
                picture[middle_y, max(0, x1 - 2) : x1 + 3], picture[middle_y, x2 - 3 : x2 + 3],
                picture[max(0, y1 - 2) : y1 + 3, middle_x], picture[y2 - 3 : y2 + 3, middle_x],
            ]  # fmt: skip
            assert max(edge.min() for edge in edges) < 205
        else:
            assert picture[y1 : y2 + 1, x1 : x2 + 1].min() < 120


def frames_of(question: Question) -> list[np.ndarray]:
    clip = decode_video(question.videos[0], lambda num_frames, _: range(num_frames))
    assert clip.fps == pytest.approx(2)
    return [frame.astype(int) for frame in clip.frames]


def test_a_disc_moves_the_way_that_is_said() -> None:
    steps = {"up": (0, -1), "down": (0, 1), "left": (-1, 0), "right": (1, 0)}
    for seed in range(12):
        question = made("direction", seed, 0.0)
        frames = frames_of(question)
        colour = next(colour for name, colour in COLOURS.items() if f" {name} " in question.text)
        (y1, x1), (y2, x2) = (
            np.argwhere(near(frame, colour, 40)).mean(axis=0) for frame in (frames[0], frames[-1])
        )
        x, y = steps[str(question.reference)]
        moved = np.array((x2 - x1, y2 - y1))
        assert moved @ (x, y) > 15 and abs(moved @ (y, x)) < 2


def test_a_lamp_is_on_when_it_is_said() -> None:
    for seed in SEEDS:
        question = made("time_span", seed, 0.0)
        assert isinstance(question.reference, list)
        start, end = question.reference
        for index, frame in enumerate(frames_of(question)):
            lamp = frame[
                int(0.4 * len(frame)) : int(0.48 * len(frame)),
                int(0.46 * len(frame)) : int(0.54 * len(frame)),
            ]
            colourful = np.ptp(lamp.reshape(-1, 3).mean(axis=0)) > 30
            assert colourful == (start <= index / 2 < end)


def test_numbers_and_places_keep_their_distance() -> None:
    rng = random.Random(1)
    for _ in range(50):
        numbers = spaced(rng, 5, 0, 100, 20)
        assert (
            min(abs(a - b) for a, b in combinations(numbers, 2)) >= 20
            and 0 <= min(numbers) <= max(numbers) <= 100
        )
        places = scattered(rng, 8, 150, (0, 0, 1000, 1000))
        assert min(math.dist(a, b) for a, b in combinations(places, 2)) >= 150
    assert len(scattered(rng, 40, 900, (0, 0, 1000, 1000))) == 40  # nearer, where they would not fit
