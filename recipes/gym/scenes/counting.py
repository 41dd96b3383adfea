"""How many of one kind among others, partly over each other."""

from __future__ import annotations

import random

from recipes.gym.canvas import COLOURS, Canvas, tint
from recipes.gym.exercise import Exercise, Question, between, boxed
from recipes.gym.layout import scattered
from recipes.gym.shapes import SHAPES, draw_shape

WORDINGS = (
    "How many {colour} {shapes} are there?",
    "Count the {colour} {shapes}.",
    "Number of {colour} {shapes}?",
)


def draw(rng: random.Random, difficulty: float, px: int) -> Question:
    """More of them, more others, of the same shape or colour too, and nearer: at most a third of one is covered."""
    count = rng.randint(1, between(difficulty, 4, 12))
    shape, colour = rng.choice(SHAPES), rng.choice(list(COLOURS))
    near = [(shape, other) for other in COLOURS if other != colour]
    near += [(other, colour) for other in SHAPES if other != shape]
    others = [rng.choice(near) for _ in range(between(difficulty, 1, 14))]
    things = [*[(shape, colour)] * count, *others]
    rng.shuffle(things)
    radius = 95 - 40 * difficulty
    apart = radius * (2.3 - 0.75 * difficulty)
    places = scattered(rng, len(things), apart, (radius, radius, 1000 - radius, 1000 - radius))
    in_reading_order = sorted(
        (y, colour, shape) for (_, y), (shape, colour) in zip(places, things, strict=True)
    )
    canvas = Canvas(px, tint(rng))
    for (one, its_colour), place in zip(things, places, strict=True):
        draw_shape(canvas, one, place, radius, COLOURS[its_colour])
    return Question(
        text=rng.choice(WORDINGS).format(colour=colour, shapes=shape + ("es" if shape == "cross" else "s")),
        reference=str(count),
        answer=boxed(count),
        load=len(things),
        thought=", ".join(" ".join(thing) for _, *thing in in_reading_order),
        images=(canvas.png(),),
    )


COUNTING = Exercise("counting", "how many of one kind", "count", draw, easy_px=112, hard_px=304)
