"""The hands of a clock."""

from __future__ import annotations

import random

from recipes.gym.canvas import BLACK, COLOURS, Canvas, tint
from recipes.gym.charts.dial import Dial
from recipes.gym.exercise import Exercise, Question, between, boxed

FORM = "Answer as 4:30."
WORDINGS = (
    f"What time is it? {FORM}",
    f"Read the clock. {FORM}",
    f"Which time does the clock show? {FORM}",
)


def draw(rng: random.Random, difficulty: float, px: int) -> Question:
    """Whole hours, half hours, quarters, five minutes, minutes; after the quarters no numbers stand on the face."""
    step = (60, 30, 15, 5, 1)[between(difficulty, 0, 4)]
    hour, minute = rng.randint(1, 12), step * rng.randrange(60 // step)
    canvas = Canvas(px, tint(rng))
    dial = Dial(rng, canvas)
    for tick in range(0, 60, 1 if step == 1 else 5):
        dial.mark(6 * tick, 0.06 if tick % 5 else 0.12, 8)
        if tick % 5 == 0 and step >= 15:
            canvas.text(dial.place(6 * tick, 0.7), str(tick // 5 or 12), size=px / 12)
    colour = rng.choice([BLACK, COLOURS["blue"], COLOURS["red"]])
    dial.hand(30 * hour + minute / 2, 0.48, 34, colour)
    dial.hand(6 * minute, 0.88, 14, colour)
    time = f"{hour}:{minute:02d}"
    return Question(
        text=rng.choice(WORDINGS),
        reference=[time, f"{hour:02d}:{minute:02d}"],
        answer=boxed(time),
        load=60 / step,
        images=(canvas.png(),),
        thought=f"short hand at or after {hour}, long hand at {minute}",
    )


CLOCK = Exercise("clock", "the time on a clock", "string", draw, easy_px=112, hard_px=256)
