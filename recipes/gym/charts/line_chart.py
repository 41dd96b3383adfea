"""The peak of one line among several."""

from __future__ import annotations

import random

from recipes.gym.canvas import BLACK, COLOURS, PALE, Canvas, tint
from recipes.gym.exercise import Exercise, Question, between, boxed
from recipes.gym.layout import WORDS, spaced

WORDINGS = (
    "In which year was {name} highest?",
    "When did {name} reach its peak? Give the year.",
    "Which year is the highest point of {name}?",
)


def draw(rng: random.Random, difficulty: float, px: int) -> Question:
    """More lines, more years, and a peak that stands out less."""
    num_lines, num_years, gap = (between(difficulty, *ends) for ends in ((1, 4), (4, 9), (25, 9)))
    first = rng.randint(1980, 2015)
    names = rng.sample(WORDS, num_lines)
    asked, peak = rng.randrange(num_lines), rng.randrange(num_years)
    at_peak = rng.randint(70, 100)
    columns: list[list[int]] = []  # one a year, each the lines' values, apart where they cross a year
    while len(columns) < num_years:
        column = spaced(rng, num_lines, 0, 100, 10)
        if len(columns) == peak:
            rest = iter(column)
            column = [at_peak if line == asked else next(rest) for line in range(num_lines)]
            if any(abs(value - at_peak) < 10 for line, value in enumerate(column) if line != asked):
                continue
        elif column[asked] > at_peak - gap:
            continue
        columns.append(column)
    lines = [[column[line] for column in columns] for line in range(num_lines)]
    year = str(first + peak)
    return Question(
        text=rng.choice(WORDINGS).format(name=names[asked]),
        reference=year,
        answer=boxed(year),
        load=num_lines * num_years,
        images=(_chart(rng, px, names, lines, first),),
        thought=f"{names[asked]} peaks at point {peak + 1}",
    )


def _chart(rng: random.Random, px: int, names: list[str], lines: list[list[int]], first: int) -> bytes:
    canvas = Canvas(px, tint(rng))
    text, num_years = canvas.units(canvas.text_px), len(lines[0])
    left, top, right, bottom = 1.4 * text, 2.2 * text, 1000 - 1.4 * text, 1000 - 2 * text
    for tick in range(0, 101, 25):
        y = bottom - (bottom - top) * tick / 100
        canvas.line([(left, y), (right, y)], PALE, 4)
    xs = [left + (right - left) * year / (num_years - 1) for year in range(num_years)]
    for year, x in enumerate(xs):
        canvas.text((x, bottom + text), str(first + year))
    canvas.line([(left, top), (left, bottom), (right, bottom)], BLACK, 5)
    colours = rng.sample(list(COLOURS.values()), len(names))
    for index, (name, values, colour) in enumerate(zip(names, lines, colours, strict=True)):
        places = [(x, bottom - (bottom - top) * value / 100) for x, value in zip(xs, values, strict=True)]
        canvas.line(places, colour, 10)
        for place in places:
            canvas.disc(place, canvas.units(2.5), colour)
        x = left + (1000 - left) * index / len(names)
        canvas.box((x, 0.5 * text, x + 0.8 * text, 1.3 * text), colour)
        canvas.text((x + text, 0.9 * text), name, anchor="lm")
    return canvas.png()


LINE_CHART = Exercise(
    "line_chart", "the year of a line's peak", "relaxed_accuracy", draw, easy_px=144, hard_px=400
)
