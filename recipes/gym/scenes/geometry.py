"""The area of a figure with its lengths written on it."""

from __future__ import annotations

import random
from fractions import Fraction

from recipes.gym.canvas import BLACK, GREY, Canvas, Colour, Place
from recipes.gym.exercise import Exercise, Question, boxed

FORM = "Give it exactly, with \\pi where it is needed."
WORDINGS = (
    f"What is the area of the figure? {FORM}",
    f"Find the area of the coloured figure. {FORM}",
    f"How large is the area? {FORM}",
)
FILLS: tuple[Colour, ...] = ((200, 220, 245), (250, 225, 190), (205, 235, 205), (235, 210, 235))
BOTTOM = 860


def draw(rng: random.Random, difficulty: float, px: int) -> Question:
    """A rectangle, a triangle, a circle, a trapezium, an L, a rectangle without a half disc; longer lengths."""
    figures = (_rectangle, _triangle, _circle, _trapezium, _corner, _arch)
    level = min(int(difficulty * len(figures)), len(figures) - 1)
    canvas = Canvas(px)
    most = 8 + round(12 * difficulty)
    area, num_lengths = figures[level](rng, canvas, rng.choice(FILLS), most)
    return Question(
        text=rng.choice(WORDINGS),
        reference=area,
        answer=boxed(area),
        load=level + num_lengths,
        images=(canvas.png(),),
    )


def _lengths(rng: random.Random, num: int, most: int) -> list[int]:
    """Different ones, so that none can be taken for another."""
    return rng.sample(range(2, most + 1), num)


def _units(*lengths: int) -> float:
    """Of the canvas for one of the figure, so that the longest fills it."""
    return 640 / max(lengths)


def _rectangle(rng: random.Random, canvas: Canvas, fill: Colour, most: int) -> tuple[str, int]:
    a, b = _lengths(rng, 2, most)
    unit = _units(a, b)
    x, y = 180, BOTTOM - b * unit
    canvas.box((x, y, x + a * unit, BOTTOM), fill, BLACK)
    _write(canvas, (x + a * unit / 2, BOTTOM), a, "below")
    _write(canvas, (x, (y + BOTTOM) / 2), b, "left")
    return str(a * b), 2


def _triangle(rng: random.Random, canvas: Canvas, fill: Colour, most: int) -> tuple[str, int]:
    """Base and height."""
    base, height = _lengths(rng, 2, most)
    unit = _units(base, height)
    left, top = (180, BOTTOM), BOTTOM - height * unit
    apex = 180 + rng.uniform(0.2, 0.8) * base * unit
    canvas.polygon([left, (180 + base * unit, BOTTOM), (apex, top)], fill, BLACK)
    canvas.line([(apex, top), (apex, BOTTOM)], GREY, 6)
    canvas.box((apex, BOTTOM - 40, apex + 40, BOTTOM), None, GREY, 5)
    _write(canvas, (180 + base * unit / 2, BOTTOM), base, "below")
    canvas.text((apex + 8, BOTTOM - height * unit * 0.4), str(height), anchor="lm")
    return str(Fraction(base * height, 2)), 2


def _circle(rng: random.Random, canvas: Canvas, fill: Colour, most: int) -> tuple[str, int]:
    (radius,) = _lengths(rng, 1, most)
    shown = 220 + 10 * radius
    canvas.disc((500, 500), shown, fill, BLACK)
    canvas.line([(500, 500), (500 + shown, 500)], BLACK, 6)
    canvas.disc((500, 500), 14, BLACK)
    _write(canvas, (500 + shown / 2, 500), radius, "below")
    return f"{radius * radius}\\pi", 1


def _trapezium(rng: random.Random, canvas: Canvas, fill: Colour, most: int) -> tuple[str, int]:
    top, bottom, height = [*sorted(_lengths(rng, 2, most)), rng.randint(2, most)]
    unit = _units(bottom, height)
    y, shift = BOTTOM - height * unit, (bottom - top) * unit * rng.uniform(0.2, 0.8)
    x = 180.0
    canvas.polygon(
        [(x, BOTTOM), (x + bottom * unit, BOTTOM), (x + shift + top * unit, y), (x + shift, y)], fill, BLACK
    )
    canvas.line([(x + shift, y), (x + shift, BOTTOM)], GREY, 6)
    canvas.box((x + shift, BOTTOM - 40, x + shift + 40, BOTTOM), None, GREY, 5)
    _write(canvas, (x + bottom * unit / 2, BOTTOM), bottom, "below")
    _write(canvas, (x + shift + top * unit / 2, y), top, "above")
    canvas.text((x + shift + 8, (y + BOTTOM) / 2), str(height), anchor="lm")
    return str(Fraction((top + bottom) * height, 2)), 3


def _corner(rng: random.Random, canvas: Canvas, fill: Colour, most: int) -> tuple[str, int]:
    """An L: a rectangle without one corner."""
    inner_a, a = sorted(_lengths(rng, 2, most))
    inner_b, b = sorted(_lengths(rng, 2, most))
    unit = _units(a, b)
    x, y, right = 180, BOTTOM - b * unit, 180 + a * unit
    notch_x, notch_y = right - inner_a * unit, y + inner_b * unit
    canvas.polygon(
        [(x, y), (notch_x, y), (notch_x, notch_y), (right, notch_y), (right, BOTTOM), (x, BOTTOM)],
        fill,
        BLACK,
    )
    _write(canvas, ((x + right) / 2, BOTTOM), a, "below")
    _write(canvas, (x, (y + BOTTOM) / 2), b, "left")
    _write(canvas, ((notch_x + right) / 2, notch_y), inner_a, "above")
    canvas.text((notch_x + 14, (y + notch_y) / 2), str(inner_b), anchor="lm")
    return str(a * b - inner_a * inner_b), 4


def _arch(rng: random.Random, canvas: Canvas, fill: Colour, most: int) -> tuple[str, int]:
    """A rectangle with a half disc cut out of its base."""
    half = rng.randint(1, most // 3)
    a, b = rng.randint(2 * half + 1, most), rng.randint(half + 1, most)
    unit = _units(a, b)
    x, y = 180, BOTTOM - b * unit
    canvas.box((x, y, x + a * unit, BOTTOM), fill, BLACK)
    middle = x + a * unit / 2
    canvas.disc((middle, BOTTOM), half * unit, (255, 255, 255), BLACK)
    canvas.box((0, BOTTOM + 1, 1000, 1000), (255, 255, 255))
    canvas.line([(x, BOTTOM), (middle - half * unit, BOTTOM)], BLACK, 6)
    canvas.line([(middle + half * unit, BOTTOM), (x + a * unit, BOTTOM)], BLACK, 6)
    canvas.line([(middle, BOTTOM), (middle + half * unit, BOTTOM)], GREY, 6)
    _write(canvas, (middle + half * unit / 2, BOTTOM), half, "below")
    _write(canvas, (middle, y), a, "above")
    _write(canvas, (x, (y + BOTTOM) / 2), b, "left")
    return f"{a * b} - \\frac{{{half * half}\\pi}}{{2}}", 3


def _write(canvas: Canvas, place: Place, length: int, side: str) -> None:
    """A length beside the middle of its line."""
    text = canvas.units(canvas.text_px)
    x, y, anchor = {
        "below": (place[0], place[1] + 0.9 * text, "mm"),
        "above": (place[0], place[1] - 0.8 * text, "mm"),
        "left": (place[0] - 0.4 * text, place[1], "rm"),
    }[side]
    canvas.text((x, y), str(length), anchor=anchor)


GEOMETRY = Exercise("geometry", "the area of a figure", "math", draw, easy_px=112, hard_px=256)
