"""The area of a figure with its lengths written on it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from recipes.gym.canvas import BLACK, GREY, Canvas, Colour, Place, tint
from recipes.gym.exercise import Exercise, Question, boxed

FORM = "Give it exactly, with \\pi where it is needed."
WORDINGS = (
    f"What is the area of the figure? {FORM}",
    f"Find the area of the coloured figure. {FORM}",
    f"How large is the area? {FORM}",
)
FILLS: tuple[Colour, ...] = ((200, 220, 245), (250, 225, 190), (205, 235, 205), (235, 210, 235))


class Figure(NamedTuple):
    """What was drawn: its area, how many lengths are written on it, and what they say."""

    area: str
    num_lengths: int
    lengths: str


@dataclass(frozen=True)
class Sheet:
    """Where a figure goes: its lower left corner, and how long its longest length is, in the canvas's units."""

    canvas: Canvas
    ground: Colour
    fill: Colour
    left: float
    bottom: float
    side: float

    @classmethod
    def drawn(cls, rng: random.Random, px: int) -> Sheet:
        """Somewhere with room for a length on each side."""
        ground = tint(rng)
        side = rng.uniform(460, 640)
        left, bottom = rng.uniform(150, 960 - side), rng.uniform(side + 130, 870)
        return cls(Canvas(px, ground), ground, rng.choice(FILLS), left, bottom, side)

    def units(self, *lengths: int) -> float:
        """For one of the figure, so that the longest fills the side."""
        return self.side / max(lengths)

    def write(self, place: Place, length: int, side: str) -> None:
        """A length beside the middle of its line."""
        text = self.canvas.units(self.canvas.text_px)
        x, y, anchor = {
            "below": (place[0], place[1] + 0.9 * text, "mm"),
            "above": (place[0], place[1] - 0.8 * text, "mm"),
            "left": (place[0] - 0.4 * text, place[1], "rm"),
        }[side]
        self.canvas.text((x, y), str(length), anchor=anchor)

    def height(self, foot: Place, top: float, length: int, at: float) -> None:
        """A line up from the base, its right angle, and its length at that share of its way."""
        self.canvas.line([foot, (foot[0], top)], GREY, 6)
        self.canvas.box((foot[0], foot[1] - 40, foot[0] + 40, foot[1]), None, GREY, 5)
        self.canvas.text((foot[0] + 8, foot[1] + (top - foot[1]) * at), str(length), anchor="lm")


def draw(rng: random.Random, difficulty: float, px: int) -> Question:
    """A rectangle, a triangle, a circle, a trapezium, an L, a rectangle without a half disc; longer lengths."""
    figures = (_rectangle, _triangle, _circle, _trapezium, _corner, _arch)
    level = min(int(difficulty * len(figures)), len(figures) - 1)
    sheet = Sheet.drawn(rng, px)
    figure = figures[level](rng, sheet, 8 + round(12 * difficulty))
    return Question(
        text=rng.choice(WORDINGS),
        reference=figure.area,
        answer=boxed(figure.area),
        load=level + figure.num_lengths,
        images=(sheet.canvas.png(),),
        thought=figure.lengths,
    )


def _lengths(rng: random.Random, num: int, most: int) -> list[int]:
    """Different ones, so that none can be taken for another."""
    return rng.sample(range(2, most + 1), num)


def _rectangle(rng: random.Random, sheet: Sheet, most: int) -> Figure:
    a, b = _lengths(rng, 2, most)
    unit = sheet.units(a, b)
    x, y = sheet.left, sheet.bottom - b * unit
    sheet.canvas.box((x, y, x + a * unit, sheet.bottom), sheet.fill, BLACK)
    sheet.write((x + a * unit / 2, sheet.bottom), a, "below")
    sheet.write((x, (y + sheet.bottom) / 2), b, "left")
    return Figure(str(a * b), 2, f"{a} by {b}")


def _triangle(rng: random.Random, sheet: Sheet, most: int) -> Figure:
    """Base and height."""
    base, height = _lengths(rng, 2, most)
    unit = sheet.units(base, height)
    x, y, top = sheet.left, sheet.bottom, sheet.bottom - height * unit
    apex = x + rng.uniform(0.2, 0.8) * base * unit
    sheet.canvas.polygon([(x, y), (x + base * unit, y), (apex, top)], sheet.fill, BLACK)
    sheet.height((apex, y), top, height, 0.4)
    sheet.write((x + base * unit / 2, y), base, "below")
    return Figure(str(Fraction(base * height, 2)), 2, f"half of {base} by {height}")


def _circle(rng: random.Random, sheet: Sheet, most: int) -> Figure:
    (radius,) = _lengths(rng, 1, most)
    shown = sheet.side / 2 * (0.7 + 0.3 * radius / most)
    x, y = sheet.left + sheet.side / 2, sheet.bottom - sheet.side / 2
    sheet.canvas.disc((x, y), shown, sheet.fill, BLACK)
    sheet.canvas.line([(x, y), (x + shown, y)], BLACK, 6)
    sheet.canvas.disc((x, y), 14, BLACK)
    sheet.write((x + shown / 2, y), radius, "below")
    return Figure(f"{radius * radius}\\pi", 1, f"radius {radius}")


def _trapezium(rng: random.Random, sheet: Sheet, most: int) -> Figure:
    top, base, height = [*sorted(_lengths(rng, 2, most)), rng.randint(2, most)]
    unit = sheet.units(base, height)
    x, bottom, shift = sheet.left, sheet.bottom, (base - top) * unit * rng.uniform(0.2, 0.8)
    y = bottom - height * unit
    sheet.canvas.polygon(
        [(x, bottom), (x + base * unit, bottom), (x + shift + top * unit, y), (x + shift, y)],
        sheet.fill,
        BLACK,
    )
    sheet.height((x + shift, bottom), y, height, 0.5)
    sheet.write((x + base * unit / 2, bottom), base, "below")
    sheet.write((x + shift + top * unit / 2, y), top, "above")
    return Figure(str(Fraction((top + base) * height, 2)), 3, f"half of {top} and {base}, by {height}")


def _corner(rng: random.Random, sheet: Sheet, most: int) -> Figure:
    """An L: a rectangle without one corner."""
    inner_a, a = sorted(_lengths(rng, 2, most))
    inner_b, b = sorted(_lengths(rng, 2, most))
    unit = sheet.units(a, b)
    x, bottom = sheet.left, sheet.bottom
    y, right = bottom - b * unit, x + a * unit
    notch_x, notch_y = right - inner_a * unit, y + inner_b * unit
    sheet.canvas.polygon(
        [(x, y), (notch_x, y), (notch_x, notch_y), (right, notch_y), (right, bottom), (x, bottom)],
        sheet.fill,
        BLACK,
    )
    sheet.write(((x + right) / 2, bottom), a, "below")
    sheet.write((x, (y + bottom) / 2), b, "left")
    sheet.write(((notch_x + right) / 2, notch_y), inner_a, "above")
    sheet.canvas.text((notch_x + 14, (y + notch_y) / 2), str(inner_b), anchor="lm")
    return Figure(str(a * b - inner_a * inner_b), 4, f"{a} by {b} without {inner_a} by {inner_b}")


def _arch(rng: random.Random, sheet: Sheet, most: int) -> Figure:
    """A rectangle with a half disc cut out of its base."""
    half = rng.randint(1, most // 3)
    a, b = rng.randint(2 * half + 1, most), rng.randint(half + 1, most)
    unit = sheet.units(a, b)
    x, bottom = sheet.left, sheet.bottom
    y, middle = bottom - b * unit, x + a * unit / 2
    canvas = sheet.canvas
    canvas.box((x, y, x + a * unit, bottom), sheet.fill, BLACK)
    canvas.disc((middle, bottom), half * unit, sheet.ground, BLACK)
    canvas.box((0, bottom + 1, 1000, 1000), sheet.ground)
    canvas.line([(x, bottom), (middle - half * unit, bottom)], BLACK, 6)
    canvas.line([(middle + half * unit, bottom), (x + a * unit, bottom)], BLACK, 6)
    canvas.line([(middle, bottom), (middle + half * unit, bottom)], GREY, 6)
    sheet.write((middle + half * unit / 2, bottom), half, "below")
    sheet.write((middle, y), a, "above")
    sheet.write((x, (y + bottom) / 2), b, "left")
    area = f"{a * b} - \\frac{{{half * half}\\pi}}{{2}}"
    return Figure(area, 3, f"{a} by {b} without a half disc of radius {half}")


GEOMETRY = Exercise("geometry", "the area of a figure", "math", draw, easy_px=112, hard_px=256)
