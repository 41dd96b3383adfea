"""What a price on a receipt was paid for."""

from __future__ import annotations

import random

from recipes.gym.canvas import BLACK, COLOURS, GREY, Canvas
from recipes.gym.exercise import Exercise, Question, between, boxed

SHOPS = ("CORNER SHOP", "GREEN MARKET", "OLD MILL STORE", "CITY KIOSK")
KINDS = ("green", "black", "dark", "white", "fresh", "dried", "small", "sweet")
GOODS = ("tea", "bread", "rice", "beans", "plums", "cheese", "honey", "nuts", "soap", "corn")
WORDINGS = (
    "What costs {price}?",
    "Which item was {price}? Write its name.",
    "Name the item with the price {price}.",
)


def draw(rng: random.Random, difficulty: float, px: int) -> Question:
    """More lines, and prices of which more share their first digits."""
    num = between(difficulty, 3, 12)
    items = rng.sample([f"{kind} {good}" for kind in KINDS for good in GOODS], num)
    cents = rng.sample(range(105, between(difficulty, 999, 400)), num)
    prices = [f"{one / 100:.2f}" for one in cents]
    asked = rng.randrange(num)
    canvas = Canvas(px, rng.choice(((255, 255, 255), (252, 250, 240), (245, 245, 245))))
    line = 1000 / (num + 3)
    canvas.text(
        (500, 0.6 * line), rng.choice(SHOPS), colour=rng.choice((BLACK, COLOURS["blue"], COLOURS["red"]))
    )
    canvas.line([(40, 1.2 * line), (960, 1.2 * line)], GREY, 4)
    totals = [("total", f"{sum(cents) / 100:.2f}")]
    for index, (item, price) in enumerate([*zip(items, prices, strict=True), *totals]):
        y = (index + 1.7) * line + (0.2 * line if index == num else 0)
        canvas.text((50, y), item, anchor="lm")
        canvas.text((950, y), price, anchor="rm")
    canvas.line([(40, (num + 1.3) * line), (960, (num + 1.3) * line)], GREY, 4)
    return Question(
        text=rng.choice(WORDINGS).format(price=prices[asked]),
        reference=items[asked],
        answer=boxed(items[asked]),
        load=num,
        images=(canvas.png(),),
        thought=f"line {asked + 1}",
    )


RECEIPT = Exercise("receipt", "the item with a price", "anls", draw, easy_px=128, hard_px=288)
