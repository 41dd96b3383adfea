"""How many of one kind among others, partly over each other."""

from __future__ import annotations

import random

from recipes.gym.canvas import COLOURS, Canvas, tint
from recipes.gym.exercise import Exercise, Question, between, boxed
from recipes.gym.layout import scattered
from recipes.gym.scenes.thing import THINGS, listed
from recipes.gym.shapes import draw_shape

WORDINGS = (
    "How many {things} are there?",
    "Count the {things}.",
    "Number of {things}?",
)


def draw(rng: random.Random, difficulty: float, px: int) -> Question:
    """More of them, more others, of the same shape or colour too, and nearer: at most a third of one is covered."""
    count = rng.randint(1, between(difficulty, 4, 12))
    counted = rng.choice(THINGS)
    near = [one for one in THINGS if (one.colour == counted.colour) != (one.shape == counted.shape)]
    things = [*[counted] * count, *rng.choices(near, k=between(difficulty, 1, 14))]
    rng.shuffle(things)
    radius = 95 - 40 * difficulty
    apart = radius * (2.3 - 0.75 * difficulty)
    places = scattered(rng, len(things), apart, (radius, radius, 1000 - radius, 1000 - radius))
    canvas = Canvas(px, tint(rng))
    for thing, place in zip(things, places, strict=True):
        draw_shape(canvas, thing.shape, place, radius, COLOURS[thing.colour])
    return Question(
        text=rng.choice(WORDINGS).format(
            things=f"{counted}es" if counted.shape == "cross" else f"{counted}s"
        ),
        reference=str(count),
        answer=boxed(count),
        load=len(things),
        thought=listed(things, places),
        images=(canvas.png(),),
    )


COUNTING = Exercise("counting", "how many of one kind", "count", draw, easy_px=112, hard_px=304)
