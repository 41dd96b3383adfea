"""A slice's share of a pie."""

from __future__ import annotations

import random

from recipes.gym.canvas import COLOURS, Canvas, tint
from recipes.gym.exercise import Exercise, Question, between, boxed
from recipes.gym.layout import WORDS

STATED = "All shares are multiples of 5%."
WORDINGS = (
    f"What share of the pie is {{name}}, in percent? {STATED}",
    f"How many percent does {{name}} have? {STATED}",
    f"{STATED} How large is the slice of {{name}}, in percent?",
)


def draw(rng: random.Random, difficulty: float, px: int) -> Question:
    """More slices. The one that is asked for has 5 to 60 percent, whatever the number of slices."""
    num = between(difficulty, 3, 7)
    asked, share = rng.randrange(num), rng.randint(1, 12)
    cuts = sorted(rng.sample(range(1, 20 - share), num - 2))
    others = [after - before for before, after in zip([0, *cuts], [*cuts, 20 - share], strict=True)]
    shares = [*others[:asked], share, *others[asked:]]
    names = rng.sample(WORDS, num)
    return Question(
        text=rng.choice(WORDINGS).format(name=names[asked]),
        reference=str(5 * share),
        answer=boxed(5 * share),
        load=num,
        images=(_pie(rng, px, names, shares),),
        thought=f"{names[asked]} is slice {asked + 1}",
    )


def _pie(rng: random.Random, px: int, names: list[str], shares: list[int]) -> bytes:
    """``shares`` are in twentieths."""
    canvas = Canvas(px, tint(rng))
    text = canvas.units(canvas.text_px)
    num_rows = -(-len(names) // 3)
    radius = (1000 - (1.5 * num_rows + 1) * text) / 2
    angle: float = rng.choice((-90, 0, rng.randrange(360)))
    for index, (name, share, colour) in enumerate(
        zip(names, shares, rng.sample(list(COLOURS.values()), len(names)), strict=True)
    ):
        canvas.sector((500, radius + 0.4 * text), radius, angle, angle + 18 * share, colour)
        angle += 18 * share
        row, column = divmod(index, 3)
        x, y = 20 + 330 * column, 1000 - (num_rows - row - 0.3) * 1.5 * text
        canvas.box((x, y - 0.4 * text, x + 0.8 * text, y + 0.4 * text), colour)
        canvas.text((x + text, y), name, anchor="lm")
    return canvas.png()


PIE_CHART = Exercise(
    "pie_chart", "the share of a named slice", "relaxed_accuracy", draw, easy_px=144, hard_px=320
)
