"""One cell of a table."""

from __future__ import annotations

import random

from recipes.gym.canvas import GREY, Canvas, tint
from recipes.gym.exercise import Exercise, Question, between, boxed
from recipes.gym.layout import WORDS

WORDINGS = (
    "What stands in row {row}, column {column}?",
    "Which number has {row} under {column}?",
    "Read the cell of row {row} and column {column}.",
)


def draw(rng: random.Random, difficulty: float, px: int) -> Question:
    """More rows and columns, longer numbers, no lines between them."""
    num_rows, num_columns, digits = (between(difficulty, *ends) for ends in ((2, 9), (2, 6), (2, 4)))
    names = rng.sample(WORDS, num_rows + num_columns)
    rows, columns = names[:num_rows], names[num_rows:]
    cells = [[str(rng.randint(10 ** (digits - 1), 10**digits - 1)) for _ in columns] for _ in rows]
    row, column = rng.randrange(num_rows), rng.randrange(num_columns)
    canvas = Canvas(px, tint(rng))
    height, width = 1000 / (num_rows + 1), 1000 / (num_columns + 1)
    for y, texts in enumerate(
        [["", *columns], *([name, *cell] for name, cell in zip(rows, cells, strict=True))]
    ):
        for x, text in enumerate(texts):
            canvas.text(((x + 0.5) * width, (y + 0.5) * height), text)
        if y and (difficulty < 0.5 or y == 1):
            canvas.line([(0, y * height), (1000, y * height)], GREY, 4)
    for x in range(1, num_columns + 1 if difficulty < 0.5 else 2):
        canvas.line([(x * width, 0), (x * width, 1000)], GREY, 4)
    return Question(
        text=rng.choice(WORDINGS).format(row=rows[row], column=columns[column]),
        reference=cells[row][column],
        answer=boxed(cells[row][column]),
        load=num_rows * num_columns,
        images=(canvas.png(),),
        thought=", ".join(
            [" ".join(columns), *(f"{name} {' '.join(cell)}" for name, cell in zip(rows, cells, strict=True))]
        ),
    )


TABLE = Exercise("table", "one cell of a table", "number", draw, easy_px=112, hard_px=352)
