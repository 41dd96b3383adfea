"""From when to when a lamp is on."""

from __future__ import annotations

import random

from recipes.gym.canvas import COLOURS, GREY, PALE, Canvas
from recipes.gym.exercise import Exercise, Question, between
from recipes.gym.films.film import SECONDS_PER_FRAME, film
from recipes.gym.layout import WORDS

FORM = "Answer as from 1.0 to 2.5 seconds: when it comes on, and the first moment it is off again."
WORDINGS = (
    f"When is the lamp {{name}} on? {FORM}",
    f"From when to when does the lamp {{name}} shine? {FORM}",
    f"During which time is {{name}} lit? {FORM}",
)


def draw(rng: random.Random, difficulty: float, px: int) -> Question:
    """More lamps, each with a time of its own, and a longer film."""
    num, num_frames = between(difficulty, 1, 6), between(difficulty, 8, 20)
    names = rng.sample(WORDS, num)
    spans = [sorted(rng.sample(range(1, num_frames), 2)) for _ in names]
    colours = rng.sample(list(COLOURS.values()), num)
    num_columns = min(num, 3)

    def paint(canvas: Canvas, second: float) -> None:
        for index, (name, (start, end), colour) in enumerate(zip(names, spans, colours, strict=True)):
            row, column = divmod(index, num_columns)
            x = 1000 * (column + 0.5) / num_columns
            y = 440 if num <= 3 else 350 + 400 * row
            is_on = start <= second / SECONDS_PER_FRAME < end
            canvas.disc((x, y), 110, colour if is_on else PALE, GREY, 8)
            canvas.text((x, y + 130 + canvas.units(canvas.text_px) / 2), name)

    asked = rng.randrange(num)
    first, after = spans[asked]
    start, end = (frame * SECONDS_PER_FRAME for frame in (first, after))
    return Question(
        text=rng.choice(WORDINGS).format(name=names[asked]),
        reference=[start, end],
        answer=f"from {start} to {end} seconds",
        load=num * num_frames,
        videos=(film(px, num_frames, paint),),
        thought=" ".join("on" if first <= frame < after else "off" for frame in range(num_frames)),
    )


TIME_SPAN = Exercise("time_span", "when a lamp is on (film)", "temporal_iou", draw, easy_px=112, hard_px=192)
