"""Descriptions of how many digits a picture has and where: what no rule judges here, and a reward model learns to."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from recipes.digits.picture import DigitPicture
from recipes.digits.question import DigitQuestion

QUESTION_TYPE = "describe"
WORDINGS = ("Describe the picture.", "What is shown?", "Say what you see.")
COUNT_WORDS = ("no", "one", "two", "three", "four")
CELL_NAMES = ("top left", "top right", "bottom left", "bottom right")  # digits fill the cells in this order
NUM_DIGITS = (2, 3, 4)

# From best to worst; a false description is worse than an empty one.
COMPLETE, WITHOUT_COUNT, INCOMPLETE, VAGUE, FALSE = 5, 4, 3, 2, 1


def describe(num_digits: int, grade: int, rng: random.Random) -> str:
    """A description worth that grade, of a picture with 2 to 4 digits.

    5 counts the digits and says where they are, 4 does not count them, 3 leaves one out, 2 names no place, 1 says
    something that is not so.
    """
    if grade == VAGUE:
        return rng.choice(("Some digits.", "A picture of digits."))
    if grade == FALSE:
        return rng.choice(_FALSE)(num_digits, rng)
    cells = range(num_digits)
    return told(_without_one(cells, rng) if grade == INCOMPLETE else cells, grade)


def told(cells: Sequence[int], grade: int) -> str:
    """The words of grade 3, 4 or 5 about these cells: `two digits: top left and top right.`"""
    *most, last = (CELL_NAMES[cell] for cell in cells)
    places = f"{', '.join(most)} and {last}" if most else last
    if grade == COMPLETE:
        return f"{COUNT_WORDS[len(cells)]} digits: {places}."
    return f"The digits are {places}." if grade == WITHOUT_COUNT else f"Some are {places}."


def falsified(num_digits: int, grade: int, rng: random.Random) -> str:
    """What would be worth that grade of another picture: only the picture tells it from a true description.

    Grade 3 needs an empty cell, so at most 3 digits.
    """
    if grade == INCOMPLETE:
        return told([*_without_one(range(num_digits), rng)[:-1], num_digits], grade)
    return told(range(rng.choice([other for other in NUM_DIGITS if other != num_digits])), grade)


def ask_for_description(picture: DigitPicture, grade: int, rng: random.Random) -> DigitQuestion:
    """The question in a random wording, with a description of that grade as reference and solution."""
    solution = describe(len(picture.digits), grade, rng)
    thought = ",".join(map(str, picture.digits))
    return DigitQuestion(QUESTION_TYPE, rng.choice(WORDINGS), solution, solution, thought)


def draw_grade(weights: Sequence[float], rng: random.Random) -> int:
    """A grade; ``weights`` are those of grades 1 to 5."""
    return rng.choices(range(FALSE, COMPLETE + 1), weights)[0]


def _of_another_picture(num_digits: int, rng: random.Random) -> str:
    return falsified(num_digits, rng.choice((WITHOUT_COUNT, COMPLETE)), rng)


def _miscounted(num_digits: int, rng: random.Random) -> str:
    wrong = rng.choice([other for other in NUM_DIGITS if other != num_digits])
    return told(range(num_digits), COMPLETE).replace(COUNT_WORDS[num_digits], COUNT_WORDS[wrong])


_FALSE: tuple[Callable[[int, random.Random], str], ...] = (
    _of_another_picture,
    _of_another_picture,  # the mistake that a policy makes by itself
    _miscounted,
)


def _without_one(cells: Sequence[int], rng: random.Random) -> list[int]:
    return [cells[place] for place in sorted(rng.sample(range(len(cells)), len(cells) - 1))]
