"""A needle on a round scale."""

from __future__ import annotations

import random

from recipes.gym.canvas import BLACK, COLOURS, Canvas, tint
from recipes.gym.charts.dial import Dial
from recipes.gym.exercise import Exercise, Question, between, boxed

WORDINGS = ("What does the gauge show?", "Read the gauge.", "Where does the needle point? Give the number.")


def draw(rng: random.Random, difficulty: float, px: int) -> Question:
    """The needle stands at a number of the scale, at a mark between two, then anywhere."""
    step = (10, 5, 2, 1)[between(difficulty, 0, 3)]
    value = step * rng.randint(0, 100 // step)
    canvas = Canvas(px, tint(rng))
    dial = Dial(rng, canvas)
    text = canvas.units(canvas.text_px) / dial.radius
    for tick in range(0, 101, 5 if step > 2 else 2):
        dial.mark(_angle(tick), 0.1 if tick % 10 else 0.15, 5 if tick % 10 else 10)
        if tick % 20 == 0:
            canvas.text(dial.place(_angle(tick), 0.79 - 0.9 * text), str(tick))
    dial.hand(_angle(value), 0.9, 18, rng.choice([COLOURS["red"], COLOURS["blue"], BLACK]))
    return Question(
        text=rng.choice(WORDINGS),
        reference=str(value),
        answer=boxed(value),
        load=10 / step,
        images=(canvas.png(),),
    )


def _angle(value: float) -> float:
    """From the lower left over the top to the lower right."""
    return -135 + 2.7 * value


GAUGE = Exercise(
    "gauge",
    "a needle on a round scale",
    "number",
    draw,
    easy_px=112,
    hard_px=288,
    verifier_options={"abs_tol": 1},
)
