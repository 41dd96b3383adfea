"""What comes next in a row of shapes."""

from __future__ import annotations

import random
from typing import Any

from recipes.gym.canvas import BLACK, COLOURS, PALE, Canvas
from recipes.gym.exercise import Exercise, Question, between, boxed
from recipes.gym.shapes import SHAPES, draw_shape

FORM = "Answer with a letter."
WORDINGS = (
    f"Which picture comes next, A, B, C or D? {FORM}",
    f"The row goes on: which of A to D stands at the question mark? {FORM}",
    f"Complete the pattern. {FORM}",
)
PATTERN_COLOURS = ("red", "blue", "green", "yellow", "purple")
LETTERS = "ABCD"

Item = tuple[str, str, int]  # shape, colour, how many dots


def draw(rng: random.Random, difficulty: float, px: int) -> Question:
    """The colour, then the shape too, then a number of dots go round with periods of 2 or 3, each shown whole twice."""
    num_changing = between(difficulty, 1, 3)
    periods = [rng.choice((2, 3)) if trait < num_changing else 1 for trait in range(3)]
    if difficulty > 0.5:
        periods[0] = 3
    values = [
        rng.sample(of, period)
        for of, period in zip((PATTERN_COLOURS, SHAPES, (1, 2, 3)), periods, strict=True)
    ]
    shown = 6 if max(periods) == 3 else 4
    row = [_item(values, place) for place in range(shown + 1)]
    right, place = row.pop(), rng.randrange(4)
    options = _wrong(rng, right)
    options.insert(place, right)
    return Question(
        text=rng.choice(WORDINGS),
        reference=LETTERS[place],
        answer=boxed(LETTERS[place]),
        load=num_changing * shown,
        images=(_picture(px, row, options),),
        thought=f"{_row(row, num_changing)}, next is {_named(right)}: {_looked_at(options[: place + 1])}",
    )


def _row(row: list[Item], num_changing: int) -> str:
    """What changes along it: colours, then shapes too, then how many dots."""
    if num_changing == 3:
        return ", ".join(map(_named, row))
    return ", ".join(colour if num_changing == 1 else f"{colour} {shape}" for shape, colour, _ in row)


def _looked_at(options: list[Item]) -> str:
    """From A on, up to the one that fits: then the letter is the last that was said."""
    return ", ".join(f"{letter} {_named(item)}" for letter, item in zip(LETTERS, options, strict=False))


def _named(item: Item) -> str:
    shape, colour, dots = item
    return f"{colour} {shape} {dots}"


def _item(values: list[list[Any]], place: int) -> Item:
    colour, shape, dots = (of[place % len(of)] for of in values)
    return shape, colour, dots


def _wrong(rng: random.Random, right: Item) -> list[Item]:
    """Three items that differ from the right one, and from each other, in one trait or two."""
    shape, colour, dots = right
    other = rng.choice([one for one in SHAPES if one != shape])
    tint = rng.choice([one for one in PATTERN_COLOURS if one != colour])
    number = rng.choice([one for one in (1, 2, 3) if one != dots])
    wrong = [(other, colour, dots), (shape, tint, dots), (shape, colour, number), (other, tint, dots)]
    return rng.sample(wrong, 3)


def _picture(px: int, row: list[Item], options: list[Item]) -> bytes:
    canvas = Canvas(px)
    cell = 1000 / (len(row) + 1)
    for place, item in enumerate(row):
        _draw_item(canvas, item, ((place + 0.5) * cell, 300), 0.42 * cell)
    canvas.text((1000 - 0.5 * cell, 300), "?", size=px * 0.7 * cell / 1000)
    canvas.line([(0, 520), (1000, 520)], PALE, 8)
    for place, item in enumerate(options):
        x = 125 + 250 * place
        canvas.text((x, 610), LETTERS[place])
        _draw_item(canvas, item, (x, 790), 0.42 * cell)
    return canvas.png()


def _draw_item(canvas: Canvas, item: Item, centre: tuple[float, float], radius: float) -> None:
    """The dots stand below the shape."""
    shape, colour, dots = item
    draw_shape(canvas, shape, centre, radius, COLOURS[colour])
    for dot in range(dots):
        x = centre[0] + (dot - (dots - 1) / 2) * 0.6 * radius
        canvas.disc((x, centre[1] + 1.35 * radius), max(0.18 * radius, canvas.units(1.5)), BLACK)


PATTERN = Exercise("pattern", "the next in a row of shapes", "choice", draw, easy_px=160, hard_px=288)
