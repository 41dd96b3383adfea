"""Which way a disc moves."""

from __future__ import annotations

import math
import random

from recipes.gym.canvas import COLOURS, Canvas, Place
from recipes.gym.exercise import Exercise, Question, between, boxed
from recipes.gym.films.film import SECONDS_PER_FRAME, STAMP, film
from recipes.gym.layout import scattered

FORM = "Answer with up, down, left, right, or two of them such as up left."
WORDINGS = (
    f"Which way does the {{colour}} disc move? {FORM}",
    f"In what direction is the {{colour}} disc going? {FORM}",
    f"Where does the {{colour}} disc move to? {FORM}",
)
WAYS = {  # steps right and down
    "up": (0, -1), "down": (0, 1), "left": (-1, 0), "right": (1, 0),
    "up left": (-1, -1), "up right": (1, -1), "down left": (-1, 1), "down right": (1, 1),
}  # fmt: skip
NUM_FRAMES, REACH, RADIUS = 6, 240, 55


def draw(rng: random.Random, difficulty: float, px: int) -> Question:
    """More discs, each its own way; then slanted ways too, and shorter ones."""
    num = between(difficulty, 1, 6)
    ways = list(WAYS)[: 4 if difficulty < 0.4 else 8]
    colours = rng.sample(list(COLOURS), num)
    reach = REACH * (1 - 0.4 * difficulty)
    margin = RADIUS + reach / 2
    middles = scattered(rng, num, 2.6 * RADIUS, (margin, 1000 * STAMP + margin, 1000 - margin, 1000 - margin))
    taken = [rng.choice(ways) for _ in colours]

    def paint(canvas: Canvas, second: float) -> None:
        share = second / (SECONDS_PER_FRAME * (NUM_FRAMES - 1)) - 0.5
        for colour, (x, y), way in zip(reversed(colours), reversed(middles), reversed(taken), strict=True):
            dx, dy = (share * reach * step / math.hypot(*WAYS[way]) for step in WAYS[way])
            canvas.disc((x + dx, y + dy), RADIUS, COLOURS[colour])

    way = taken[0]  # of the disc that is painted last: nothing covers it
    first, _, second = way.partition(" ")
    return Question(
        text=rng.choice(WORDINGS).format(colour=colours[0]),
        reference=[way, f"{second} {first}", f"{first}-{second}"] if second else way,
        answer=boxed(way),
        load=num * len(ways),
        videos=(film(px, NUM_FRAMES, paint),),
        thought=f"from {_tenths(middles[0], way, -reach / 2)} to {_tenths(middles[0], way, reach / 2)}",
    )


def _tenths(middle: Place, way: str, moved: float) -> str:
    """Where a disc is that has gone so far, in tenths of the picture from the left and from the top."""
    return " ".join(
        str(int((at + moved * step / math.hypot(*WAYS[way])) / 100))
        for at, step in zip(middle, WAYS[way], strict=True)
    )


DIRECTION = Exercise("direction", "which way a disc moves (film)", "string", draw, easy_px=112, hard_px=192)
