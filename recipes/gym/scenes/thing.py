"""A coloured shape in a picture, and how people would list what they see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from recipes.gym.canvas import COLOURS, Place
from recipes.gym.shapes import SHAPES


class Thing(NamedTuple):
    """Its name is what it looks like: `red star`."""

    colour: str
    shape: str

    def __str__(self) -> str:
        return f"{self.colour} {self.shape}"


THINGS = tuple(Thing(colour, shape) for colour in COLOURS for shape in SHAPES)


def listed(things: Sequence[Thing], places: Sequence[Place]) -> str:
    """From top to bottom."""
    return ", ".join(str(thing) for _, thing in sorted(zip((y for _, y in places), things, strict=True)))
