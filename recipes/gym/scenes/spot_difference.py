"""Two pictures that are alike but for a few things whose colour or shape was changed, or that are gone."""

from __future__ import annotations

import random

from recipes.gym.canvas import COLOURS, Canvas, tint
from recipes.gym.exercise import Exercise, Question, between
from recipes.gym.layout import scattered
from recipes.gym.scenes.thing import THINGS, Thing
from recipes.gym.shapes import SHAPES, draw_shape

FORM = (
    "Answer a line for each: what it is in the first picture, its box there as <bbox>x1 y1 x2 y2</bbox> from 0 to 999. "
    "Say it as: red star <bbox>10 20 110 120</bbox>"
)
WORDINGS = (
    f"What is changed or gone in the second picture? {FORM}",
    f"Which things of the first picture are changed or missing in the second? {FORM}",
    f"Spot the differences. {FORM}",
)


def draw(rng: random.Random, difficulty: float, px: int) -> Question:
    """More things, more differences."""
    num, num_changed = between(difficulty, 3, 14), between(difficulty, 1, 4)
    things = rng.sample(THINGS, num)
    radius = 100 - 30 * difficulty
    edge = radius + 15
    places = scattered(rng, num, 2.3 * radius, (edge, edge, 1000 - edge, 1000 - edge))
    changed = sorted(rng.sample(range(num), num_changed), key=lambda index: places[index][::-1])
    after: list[Thing | None] = list(things)
    for index in changed:
        after[index] = _changed(rng, things[index])
    background = tint(rng)

    def picture(shown: list[Thing | None]) -> bytes:
        canvas = Canvas(px, background)
        for thing, place in zip(shown, places, strict=True):
            if thing is not None:
                draw_shape(canvas, thing.shape, place, radius, COLOURS[thing.colour])
        return canvas.png()

    corners = [[round(at + side) for side in (-radius, radius) for at in place] for place in places]
    differences = [{"text": str(things[index]), "box": corners[index]} for index in changed]
    lines = [f"{one['text']} <bbox>{' '.join(map(str, one['box']))}</bbox>" for one in differences]
    return Question(
        text=rng.choice(WORDINGS),
        reference=differences,
        answer="\n".join(lines),
        load=num + num_changed,
        images=(picture(list(things)), picture(after)),
    )


def _changed(rng: random.Random, thing: Thing) -> Thing | None:
    """In one of its properties, or gone."""
    colour, shape = thing
    return rng.choice(
        (
            None,
            Thing(rng.choice([one for one in COLOURS if one != colour]), shape),
            Thing(colour, rng.choice([one for one in SHAPES if one != shape])),
        )
    )


SPOT_DIFFERENCE = Exercise(
    "spot_difference", "what differs, with boxes", "spot_difference", draw, easy_px=112, hard_px=240
)
