"""Plain shapes that are told apart at a few pixels."""

from __future__ import annotations

import math

from recipes.gym.canvas import BLACK, Canvas, Colour, Place

SHAPES = ("circle", "square", "triangle", "star", "cross", "heart")


def draw_shape(
    canvas: Canvas, shape: str, centre: Place, radius: float, fill: Colour, width: float = 5
) -> None:
    """Inside a square of two radii a side, with a dark outline of ``width``."""
    x, y = centre
    if shape == "circle":
        canvas.disc(centre, radius, fill, BLACK, width)
        return
    canvas.polygon([(x + radius * dx, y + radius * dy) for dx, dy in _OUTLINES[shape]], fill, BLACK, width)


def _star() -> list[Place]:
    rays = [(1.0 if corner % 2 == 0 else 0.42, math.radians(36 * corner - 90)) for corner in range(10)]
    return [(length * math.cos(angle), length * math.sin(angle) + 0.05) for length, angle in rays]


def _heart() -> list[Place]:
    """x = sin^3 t, y = the usual sum of cosines, brought to [-1, 1]."""
    turns = [math.tau * step / 40 for step in range(40)]
    return [
        (
            math.sin(t) ** 3,
            -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)) / 17,
        )
        for t in turns
    ]


_T = 0.36  # half a cross's beam
_OUTLINES: dict[str, list[Place]] = {
    "square": [(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)],
    "triangle": [(0, -1), (1, 0.8), (-1, 0.8)],
    "star": _star(),
    "cross": [(-_T, -1), (_T, -1), (_T, -_T), (1, -_T), (1, _T), (_T, _T), (_T, 1), (-_T, 1), (-_T, _T), (-1, _T),
              (-1, -_T), (-_T, -_T)],
    "heart": _heart(),
}  # fmt: skip
