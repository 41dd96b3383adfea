"""A screen of an application: rows of buttons, check boxes and fields, each with a name of its own."""

from __future__ import annotations

import random
from dataclasses import dataclass

from recipes.gym.canvas import BLACK, COLOURS, GREY, PALE, WHITE, Canvas, Colour

VERBS = ("Save", "Open", "Copy", "Send", "Print", "Undo", "Find", "Share", "Lock", "Help", "Add", "Edit")
NOUNS = ("all", "page", "file", "list", "text", "mail")
KINDS = ("button", "check box", "field")

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Widget:
    """In thousandths of the side: ``box`` is the button, the small square or the field; ``area`` has the name in it."""

    kind: str
    name: str
    box: Box
    area: Box


def draw_screen(rng: random.Random, num_rows: int, num_columns: int, px: int) -> tuple[list[Widget], bytes]:
    """One widget in each cell of a grid, moved about inside of it. Two-word names share their words."""
    canvas = Canvas(px, (243, 243, 245))
    text = canvas.units(canvas.text_px)
    bar = 1.5 * text
    canvas.box(
        (0, 0, 1000, bar), rng.choice([COLOURS["blue"], COLOURS["purple"], COLOURS["green"], (70, 75, 85)])
    )
    canvas.text(
        (0.5 * text, bar / 2), rng.choice(("Notes", "Mail", "Files", "Shop")), colour=WHITE, anchor="lm"
    )
    names = rng.sample(
        VERBS if num_rows * num_columns <= 6 else [f"{verb} {noun}" for verb in VERBS for noun in NOUNS],
        num_rows * num_columns,
    )
    width, height = 1000 / num_columns, (1000 - bar) / num_rows
    accent = rng.choice([WHITE, PALE, (214, 228, 250), (250, 232, 205)])
    widgets = []
    for index, name in enumerate(names):
        row, column = divmod(index, num_columns)
        kind = rng.choice(KINDS)
        size = _size(canvas, kind, name, text)
        free = (width - size[0] - 0.4 * text, height - size[1] - 0.3 * text)
        x = column * width + 0.2 * text + rng.uniform(0, max(free[0], 0))
        y = bar + row * height + 0.15 * text + rng.uniform(0, max(free[1], 0))
        area = (round(x), round(y), round(x + size[0]), round(y + size[1]))
        widgets.append(Widget(kind, name, _draw(canvas, kind, name, (x, y), size, accent), area))
    return widgets, canvas.png()


def _size(canvas: Canvas, kind: str, name: str, text: float) -> tuple[float, float]:
    """With the name."""
    width = canvas.width_of(name)
    return {
        "button": (width + 1.2 * text, 1.7 * text),
        "check box": (width + 1.5 * text, 1.2 * text),
        "field": (max(width, 4 * text), 2.5 * text),
    }[kind]


def _draw(
    canvas: Canvas,
    kind: str,
    name: str,
    corner: tuple[float, float],
    size: tuple[float, float],
    accent: Colour,
) -> Box:
    (x, y), (width, height), text = corner, size, canvas.units(canvas.text_px)
    if kind == "button":
        box = (x, y, x + width, y + height)
        canvas.box(box, accent, GREY, 5, radius=0.3 * text)
        canvas.text((x + width / 2, y + height / 2), name)
    elif kind == "check box":
        box = (x, y + 0.1 * text, x + text, y + 1.1 * text)
        canvas.box(box, WHITE, BLACK, 5)
        canvas.text((x + 1.3 * text, y + 0.6 * text), name, anchor="lm")
    else:
        box = (x, y + 1.15 * text, x + width, y + height)
        canvas.text((x, y + 0.55 * text), name, anchor="lm")
        canvas.box(box, WHITE, GREY, 5)
    return round(box[0]), round(box[1]), round(box[2]), round(box[3])
