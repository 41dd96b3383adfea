"""Numbers and places that are told apart: with a gap between any two."""

from __future__ import annotations

import math
import random

from recipes.gym.canvas import Place

WORDS = (
    "Ash", "Bay", "Cove", "Dale", "East", "Fern", "Glen", "Hill", "Isle", "Jade", "Kent", "Lake", "Mill", "Nord", "Oak",
    "Pine", "Quay", "Reed", "Sand", "Tarn", "Ural", "Vale", "West", "Yew",
)  # fmt: skip
LETTERS = "ABCDEFGHKLMNPRSTUVWXYZ"  # without those that look like a digit


def spaced(rng: random.Random, num: int, low: int, high: int, gap: int) -> list[int]:
    """``num`` whole numbers from ``low`` to ``high`` in any order, each ``gap`` or more from the others."""
    room = high - low - (num - 1) * gap
    assert room >= 0, f"no {num} numbers from {low} to {high} are {gap} apart"
    numbers = [low + value + i * gap for i, value in enumerate(sorted(rng.choices(range(room + 1), k=num)))]
    rng.shuffle(numbers)
    return numbers


def scattered(
    rng: random.Random, num: int, apart: float, box: tuple[float, float, float, float]
) -> list[Place]:
    """``num`` places in a box (x1, y1, x2, y2), ``apart`` or more from each other; a little nearer where they would not
    fit."""
    places: list[Place] = []
    while len(places) < num:
        for _ in range(60):
            place = (rng.uniform(box[0], box[2]), rng.uniform(box[1], box[3]))
            if all(math.dist(place, other) >= apart for other in places):
                places.append(place)
                break
        else:
            places, apart = [], 0.96 * apart
    return places
