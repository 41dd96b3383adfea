"""A bar's height against an axis."""

from __future__ import annotations

import random

from recipes.gym.canvas import BLACK, COLOURS, PALE, Canvas, tint
from recipes.gym.exercise import Exercise, Question, between, boxed
from recipes.gym.layout import WORDS

WORDINGS = (
    "What is the value of {name}?",
    "How high is the bar of {name}?",
    "Read the value of {name} off the chart.",
)


def draw(rng: random.Random, difficulty: float, px: int) -> Question:
    """Heights are multiples of 10, of 5, then any."""
    num = between(difficulty, 3, 8)
    step = 10 if difficulty < 0.35 else 5 if difficulty < 0.7 else 1
    names = rng.sample(WORDS, num)
    values = [step * rng.randint(20 // step, 100 // step) for _ in names]
    asked = rng.randrange(num)
    return Question(
        text=rng.choice(WORDINGS).format(name=names[asked]),
        reference=str(values[asked]),
        answer=boxed(values[asked]),
        load=num * 10 / step,
        images=(_chart(rng, px, names, values),),
        thought=", ".join(f"{name} {value}" for name, value in zip(names, values, strict=True)),
    )


def _chart(rng: random.Random, px: int, names: list[str], values: list[int]) -> bytes:
    canvas = Canvas(px, tint(rng))
    text, fill = canvas.units(canvas.text_px), rng.choice(list(COLOURS.values()))
    left, top, bottom = 2.2 * text, text, 1000 - 1.8 * text
    for tick in range(0, 101, 10):
        y = bottom - (bottom - top) * tick / 100
        canvas.line([(left, y), (980, y)], PALE, 4)
        if tick % 20 == 0:
            canvas.text((left - 0.4 * text, y), str(tick), anchor="rm")
    cell = (980 - left) / len(names)
    for index, (name, value) in enumerate(zip(names, values, strict=True)):
        x = left + cell * (index + 0.5)
        canvas.box((x - 0.3 * cell, bottom - (bottom - top) * value / 100, x + 0.3 * cell, bottom), fill)
        canvas.text((x, bottom + 0.8 * text), name)
    canvas.line([(left, top), (left, bottom), (980, bottom)], BLACK, 5)
    return canvas.png()


BAR_CHART = Exercise(
    "bar_chart", "the height of a named bar", "relaxed_accuracy", draw, easy_px=112, hard_px=336
)
