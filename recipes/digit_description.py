"""Descriptions of where the digits of a picture stand: what no rule judges here, and a reward model learns to."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from recipes.digit_picture import DigitPicture
from recipes.digit_question import DigitQuestion

QUESTION_TYPE = "describe"
WORDINGS = ("Describe the picture.", "What is shown?", "Say what you see.")
COUNT_WORDS = ("no", "one", "two", "three", "four")
CELL_NAMES = ("top left", "top right", "bottom left", "bottom right")

# From best to worst; a false description is worse than an empty one.
COMPLETE, WITHOUT_COUNT, INCOMPLETE, VAGUE, FALSE = 5, 4, 3, 2, 1


def describe(cells: Sequence[int], grade: int, rng: random.Random) -> str:
    """A description worth that grade, of a picture with digits in these cells: at least two, and not in all four.

    5 counts the digits and says where all of them are, 4 does not count them, 3 leaves one out, 2 names no place, 1
    says something that is not so.
    """
    if grade == VAGUE:
        return rng.choice(("Some digits.", "A picture of digits."))
    if grade == FALSE:
        return rng.choice(_FALSE)(cells, rng)
    return told(cells if grade > INCOMPLETE else _without_one(cells, rng), grade)


def told(cells: Sequence[int], grade: int) -> str:
    """The words of grade 3, 4 or 5 about these cells: `two digits: top left and bottom right.`"""
    *most, last = (CELL_NAMES[cell] for cell in cells)
    places = f"{', '.join(most)} and {last}" if most else last
    if grade == COMPLETE:
        return f"{COUNT_WORDS[len(cells)]} digits: {places}."
    return f"The digits are {places}." if grade == WITHOUT_COUNT else f"Some are {places}."


def falsified(cells: Sequence[int], grade: int, rng: random.Random) -> str:
    """The words of a grade with an empty cell in the place of one: only the picture tells them from true ones."""
    named = _without_one(cells, rng) if grade == INCOMPLETE else list(cells)
    named[rng.randrange(len(named))] = rng.choice(_empty(cells))
    return told(sorted(named), grade)


def ask_for_description(picture: DigitPicture, grade: int, rng: random.Random) -> DigitQuestion:
    """The question in a random wording, with a description of that grade as reference and solution."""
    solution = describe(picture.cells, grade, rng)
    thought = " ".join("yes" if cell in picture.cells else "no" for cell in range(len(CELL_NAMES)))
    return DigitQuestion(QUESTION_TYPE, rng.choice(WORDINGS), solution, solution, thought)


def draw_grade(weights: Sequence[float], rng: random.Random) -> int:
    """A grade; ``weights`` are those of grades 1 to 5."""
    return rng.choices(range(FALSE, COMPLETE + 1), weights)[0]


def _misplaced(cells: Sequence[int], rng: random.Random) -> str:
    return falsified(cells, rng.choice((INCOMPLETE, WITHOUT_COUNT, COMPLETE)), rng)


def _one_too_many(cells: Sequence[int], rng: random.Random) -> str:
    return told(sorted([*cells, rng.choice(_empty(cells))]), rng.choice((WITHOUT_COUNT, COMPLETE)))


def _miscounted(cells: Sequence[int], rng: random.Random) -> str:
    wrong = rng.choice([number for number in range(2, len(COUNT_WORDS)) if number != len(cells)])
    return told(cells, COMPLETE).replace(COUNT_WORDS[len(cells)], COUNT_WORDS[wrong])


_FALSE: tuple[Callable[[Sequence[int], random.Random], str], ...] = (_misplaced, _one_too_many, _miscounted)


def _without_one(cells: Sequence[int], rng: random.Random) -> list[int]:
    return [cells[place] for place in sorted(rng.sample(range(len(cells)), len(cells) - 1))]


def _empty(cells: Sequence[int]) -> list[int]:
    return [cell for cell in range(len(CELL_NAMES)) if cell not in cells]
