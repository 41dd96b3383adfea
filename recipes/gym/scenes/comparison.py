"""Two pictures: what came in between them."""

from __future__ import annotations

import random

from recipes.gym.canvas import COLOURS, Canvas, tint
from recipes.gym.exercise import Exercise, Question, between, boxed
from recipes.gym.layout import scattered
from recipes.gym.scenes.thing import THINGS, Thing, listed
from recipes.gym.shapes import draw_shape

FORM = "Answer as red star."
WORDINGS = (
    f"What is in the second picture and not in the first? {FORM}",
    f"Which thing does only the second picture show? {FORM}",
    f"Compare the two pictures: what is new in the second? {FORM}",
)
MARGIN = 110


def draw(rng: random.Random, difficulty: float, px: int) -> Question:
    """More things, all different; from one picture to the next they change places."""
    num = between(difficulty, 2, 12)
    *common, new = rng.sample(THINGS, num + 1)
    second = [*common, new]
    rng.shuffle(second)
    background = tint(rng)

    def picture(things: list[Thing]) -> tuple[bytes, str]:
        """And the list of what it shows."""
        canvas = Canvas(px, background)
        radius = 100 - 30 * difficulty
        places = scattered(rng, len(things), 2.4 * radius, (MARGIN, MARGIN, 1000 - MARGIN, 1000 - MARGIN))
        for thing, place in zip(things, places, strict=True):
            draw_shape(canvas, thing.shape, place, radius, COLOURS[thing.colour])
        return canvas.png(), listed(things, places)

    (before, list_before), (after, list_after) = picture(common), picture(second)
    return Question(
        text=rng.choice(WORDINGS),
        reference=str(new),
        answer=boxed(new),
        load=len(second),
        images=(before, after),
        thought=f"{list_before} then {list_after}",
    )


COMPARISON = Exercise(
    "comparison", "what only the second picture shows", "string", draw, easy_px=112, hard_px=224
)
