"""Descriptions of a picture of digits, good and bad: what no rule judges here, and a reward model learns to."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from recipes.digit_picture import DigitPicture
from recipes.digit_question import DigitQuestion

QUESTION_TYPE = "describe"
WORDINGS = ("Describe the picture.", "What is shown?", "Say what you see.")
COUNT_WORDS = ("no", "one", "two", "three", "four", "five")

# From best to worst; a false description is worse than an empty one.
COMPLETE, WITHOUT_COUNT, INCOMPLETE, VAGUE, FALSE = 5, 4, 3, 2, 1


def describe(picture: DigitPicture, grade: int, rng: random.Random) -> str:
    """A description worth that grade.

    5 counts the digits and names all in order, 4 does not count them, 3 leaves one out, 2 names none, 1 says something
    that is not so.
    """
    if grade == FALSE:
        return rng.choice(_FALSE)(picture.digits, rng)
    if grade == VAGUE:
        return rng.choice(("Some digits.", "A picture of digits."))
    digits = list(picture.digits)
    if grade == INCOMPLETE:
        del digits[rng.randrange(len(digits))]
        return f"There is {listed(digits)}."
    if grade == WITHOUT_COUNT:
        return f"The digits are {listed(digits)}."
    return complete(digits)


def complete(digits: Sequence[int]) -> str:
    """`three digits: 4, 1 and 7.`"""
    return f"{COUNT_WORDS[len(digits)]} digits: {listed(digits)}."


def listed(digits: Sequence[int]) -> str:
    """`4, 1 and 7`"""
    *most, last = map(str, digits)
    return f"{', '.join(most)} and {last}" if most else last


def ask_for_description(picture: DigitPicture, grade: int, rng: random.Random) -> DigitQuestion:
    """The question in a random wording, with a description of that grade as reference and solution."""
    solution = describe(picture, grade, rng)
    thought = ",".join(map(str, picture.digits))
    return DigitQuestion(QUESTION_TYPE, rng.choice(WORDINGS), solution, solution, thought)


def falsified(text: str, rng: random.Random) -> str:
    """The same words with another digit in the place of one: nothing but the picture tells it from the true ones."""
    places = [place for place, char in enumerate(text) if char.isdigit()]
    place = rng.choice(places)
    other = rng.choice([digit for digit in "0123456789" if digit not in text])
    return text[:place] + other + text[place + 1 :]


def draw_grade(weights: Sequence[float], rng: random.Random) -> int:
    """A grade; ``weights`` are those of grades 1 to 5."""
    return rng.choices(range(FALSE, COMPLETE + 1), weights)[0]


def _one_replaced(digits: Sequence[int], rng: random.Random) -> str:
    changed = list(digits)
    place = rng.randrange(len(changed))
    changed[place] = rng.choice([digit for digit in range(10) if digit != changed[place]])
    return rng.choice((complete(changed), f"The digits are {listed(changed)}."))


def _one_too_many(digits: Sequence[int], rng: random.Random) -> str:
    added = list(digits)
    added.insert(rng.randint(0, len(added)), rng.randrange(10))
    return rng.choice((complete(added), f"The digits are {listed(added)}."))


def _miscounted(digits: Sequence[int], rng: random.Random) -> str:
    wrong = rng.choice([number for number in range(1, len(COUNT_WORDS)) if number != len(digits)])
    return f"{COUNT_WORDS[wrong]} digits: {listed(digits)}."


def _other_digit(digits: Sequence[int], rng: random.Random) -> str:
    absent = rng.choice([digit for digit in range(10) if digit not in digits])
    return f"There is {absent}."


_FALSE: tuple[Callable[[Sequence[int], random.Random], str], ...] = (
    *[_one_replaced] * 5,  # the mistake that a policy makes by itself
    _one_too_many,
    _miscounted,
    _other_digit,
)
