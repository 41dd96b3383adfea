"""A round face with marks and hands, somewhere near the middle of the picture."""

from __future__ import annotations

import math
import random

from recipes.gym.canvas import BLACK, WHITE, Canvas, Colour, Place


class Dial:
    """Angles are in degrees clockwise from the top, lengths in shares of the radius."""

    def __init__(self, rng: random.Random, canvas: Canvas) -> None:
        self.canvas = canvas
        self.radius = rng.uniform(420, 475)
        room = 490 - self.radius
        self.centre = (500 + rng.uniform(-room, room), 500 + rng.uniform(-room, room))
        canvas.disc(self.centre, self.radius, WHITE, BLACK, 10)

    def place(self, angle: float, length: float) -> Place:
        turn = math.radians(angle - 90)
        x, y = self.centre
        return x + length * self.radius * math.cos(turn), y + length * self.radius * math.sin(turn)

    def mark(self, angle: float, length: float, width: float) -> None:
        """A stroke from the rim inwards."""
        self.canvas.line([self.place(angle, 0.96 - length), self.place(angle, 0.96)], BLACK, width)

    def hand(self, angle: float, length: float, width: float, colour: Colour) -> None:
        self.canvas.line([self.centre, self.place(angle, length)], colour, width)
        self.canvas.disc(self.centre, 34, colour)
