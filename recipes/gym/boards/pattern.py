"""What comes next in a row of shapes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, NamedTuple

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
MOST_SHOWN = 6  # items of a row, which all stand in places of one size


class Item(NamedTuple):
    """A shape of the row or of the options; without dots none are drawn below it."""

    colour: str
    shape: str
    dots: int

    def __str__(self) -> str:
        return f"{self.colour} {self.shape}" + (f" {self.dots}" if self.dots else "")


def draw(rng: random.Random, difficulty: float, px: int) -> Question:
    """The colour, then the shape too, then a number of dots go round with periods of 2 or 3, each shown whole and
    begun again: the row may end anywhere, so that its first item tells nothing.

    Nor do the options: where one trait changes, it has another value in each of them; else two traits have two values
    of the row each, and every pair of them stands there once.
    """
    num_changing = between(difficulty, 1, 3)
    periods = [rng.choice((2, 3)) if trait < num_changing else 1 for trait in range(3)]
    if difficulty > 0.5:
        periods[0] = 3
    numbers = (1, 2, 3) if num_changing == 3 else (0,)
    traits: tuple[Sequence[Any], ...] = (PATTERN_COLOURS, SHAPES, numbers)
    values = [rng.sample(of, period) for of, period in zip(traits, periods, strict=True)]
    shown = rng.choice((4, 5, MOST_SHOWN) if max(periods) == 3 else (4, 5))
    row = [_item(values, place) for place in range(shown + 1)]
    right = row.pop()
    options = _colours(rng, right, values[0]) if num_changing == 1 else _pairs(rng, right, values)
    letter = LETTERS[options.index(right)]

    def said(items: Sequence[Item]) -> list[str]:
        return [item.colour if num_changing == 1 else str(item) for item in items]

    looked_at = said(options[: options.index(right) + 1])
    return Question(
        text=rng.choice(WORDINGS),
        reference=letter,
        answer=boxed(letter),
        load=num_changing * shown,
        images=(_picture(px, row, options),),
        thought=f"{', '.join(said(row))}, next is {said([right])[0]}: {_lettered(looked_at)}",
    )


def _item(values: list[list[Any]], place: int) -> Item:
    return Item(*(of[place % len(of)] for of in values))


def _colours(rng: random.Random, right: Item, shown: list[str]) -> list[Item]:
    """The right one in other colours: first those of the row, so that to be in it says nothing."""
    others = [one for one in PATTERN_COLOURS if one not in shown]
    colours = [*shown, *rng.sample(others, 4 - len(shown))]
    return rng.sample([right._replace(colour=colour) for colour in colours], 4)


def _pairs(rng: random.Random, right: Item, values: list[list[Any]]) -> list[Item]:
    """The right one, one with another value of a trait, one with another value of a second, one with both; values of
    the row, so that to be in it says little."""
    of_row = dict(zip(Item._fields, values, strict=True))
    one, two = rng.sample([name for name, of in of_row.items() if len(of) > 1], 2)
    others = {
        name: rng.choice([of for of in of_row[name] if of != getattr(right, name)]) for name in (one, two)
    }

    def with_others(*names: str) -> Item:
        return right._replace(**{name: others[name] for name in names})

    return rng.sample([right, with_others(one), with_others(two), with_others(one, two)], 4)


def _lettered(options: list[str]) -> str:
    """From A on, up to the one that fits: then the letter is the last that was said."""
    return ", ".join(f"{letter} {option}" for letter, option in zip(LETTERS, options, strict=False))


def _picture(px: int, row: list[Item], options: list[Item]) -> bytes:
    canvas = Canvas(px)
    cell = 1000 / (MOST_SHOWN + 1)
    for place, item in enumerate(row):
        _draw_item(canvas, item, ((place + 0.5) * cell, 300), 0.42 * cell)
    canvas.text(((len(row) + 0.5) * cell, 300), "?", size=px * 0.7 * cell / 1000)
    canvas.line([(0, 520), (1000, 520)], PALE, 8)
    for place, item in enumerate(options):
        x = 125 + 250 * place
        canvas.text((x, 590), LETTERS[place])
        _draw_item(canvas, item, (x, 780), 95)
    return canvas.png()


def _draw_item(canvas: Canvas, item: Item, centre: tuple[float, float], radius: float) -> None:
    """The dots stand below the shape."""
    draw_shape(canvas, item.shape, centre, radius, COLOURS[item.colour])
    for dot in range(item.dots):
        x = centre[0] + (dot - (item.dots - 1) / 2) * 0.6 * radius
        canvas.disc((x, centre[1] + 1.35 * radius), max(0.18 * radius, canvas.units(1.5)), BLACK)


PATTERN = Exercise("pattern", "the next in a row of shapes", "choice", draw, easy_px=112, hard_px=288)
