"""The hybrid digits task: questions that a rule verifies beside descriptions that only a reward model can judge.

As in Seed1.5-VL's hybrid RL (2505.07062, section 4.3) both kinds are shuffled together. The reference of a description
is drawn from the same mixture of grades as the cold start, so the SFT policy is about its equal, and can do better.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from recipes.digits.builder import DigitsOptions, draw_digits, prompt_of, save_sets
from recipes.digits.picture import NUM_CELLS, DigitBank, DigitPicture, digit_banks, draw_picture
from recipes.digits.question import DigitQuestion
from reward_models.preferences.preference import PreferenceList, save_preferences
from sampler.data.data_builder import takes_fields_of
from sampler.data.sft_row import SftRow
from sampler.prompt import Prompt
from verifiers.answer import FinalAnswer
from verifiers.errors import BadInput

QUESTION_TYPE = "describe"
WORDINGS = ("Describe the picture.", "What is shown?", "Say what you see.")
COUNT_WORDS = ("no", "one", "two", "three", "four")
CELL_NAMES = ("top left", "top right", "bottom left", "bottom right")  # digits fill the cells in this order
NUM_DIGITS = (2, 3, 4)

# Grades of a description, from best to worst; a false description is worse than an empty one.
COMPLETE, WITHOUT_COUNT, INCOMPLETE, VAGUE, FALSE = 5, 4, 3, 2, 1

NUM_GRADES = COMPLETE - FALSE + 1
GRADE_WEIGHTS = (0.1, 0.2, 0.35, 0.25, 0.1)  # of grades 1 to 5
EMPTY_THOUGHT_FRAC = 0.5


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


def truths(description: str, num_digits: int) -> dict[str, bool]:
    """Which criteria of `digits_rubric_cpu` a description meets, of a picture with so many digits.

    >>> truths("three digits: top left and top right.", 2)
    {'true': False, 'counts': True, 'complete': True}
    """
    named = {cell for cell, name in enumerate(CELL_NAMES) if name in description}
    counted = [COUNT_WORDS.index(word) for word in COUNT_WORDS if f"{word} digits:" in description]
    there = set(range(num_digits))
    says_all = description.startswith("The digits are") or bool(counted)
    return {
        "true": counted in ([], [num_digits]) and (named == there if says_all else named <= there),
        "counts": bool(counted),
        "complete": named >= there,
    }


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


@dataclass(frozen=True)
class Descriptions:
    """Draws distinct pictures that are to be described; ``grade_weights`` are those of the references."""

    bank: DigitBank
    grade_weights: Sequence[float]
    rng: random.Random

    def rows(self, num: int) -> list[SftRow]:
        """Prompts with a description of their own drawn grade as the response."""
        rows: dict[str, SftRow] = {}
        while len(rows) < num:
            picture = self._picture()
            question = ask_for_description(picture, draw_grade(self.grade_weights, self.rng), self.rng)
            prompt = prompt_of(picture, question)
            response = question.response(easy=self.rng.random() < EMPTY_THOUGHT_FRAC)
            rows[prompt.prompt_id] = SftRow(prompt, response)
        return list(rows.values())

    def prompts(self, num: int) -> list[Prompt]:
        """Those of ``rows``; the description is the reference."""
        return [row.prompt for row in self.rows(num)]

    def preferences(self, num: int, false_frac: float) -> list[PreferenceList]:
        """Descriptions of one picture: `false_frac` of the lists a true one and the same words of another picture, the
        others one of each grade. Between the two a judge must read the picture; the rest is told by words alone."""
        lists = []
        for _ in range(num):
            picture = self._picture()
            num_digits = len(picture.digits)
            question = ask_for_description(picture, COMPLETE, self.rng)
            if self.rng.random() < false_frac:
                # All four cells are full: no place could be named falsely.
                grade = self.rng.choice(
                    (COMPLETE, WITHOUT_COUNT, INCOMPLETE)[: 3 if num_digits < NUM_CELLS else 2]
                )
                grades: tuple[int, ...] = (grade, FALSE)
                texts = [describe(num_digits, grade, self.rng), falsified(num_digits, grade, self.rng)]
            else:
                grades = tuple(range(COMPLETE, FALSE - 1, -1))
                texts = [describe(num_digits, grade, self.rng) for grade in grades]
            answers = tuple(map(FinalAnswer, texts))
            met = tuple(truths(text, num_digits) for text in texts)
            lists.append(PreferenceList(prompt_of(picture, question), answers, grades, "descriptions", met))
        return lists

    def _picture(self) -> DigitPicture:
        return draw_picture(self.bank, self.rng, self.rng.choice(NUM_DIGITS))


@dataclass(frozen=True, kw_only=True)
class HybridOptions(DigitsOptions):
    """Those of the digits task, and how many descriptions; ``grade_weights`` are those of their references."""

    num_heldout_prompts: int = 200
    num_cold_start_rows: int = 20000
    max_digits: int = 3
    num_general_prompts: int = 4000
    num_general_heldout_prompts: int = 200
    num_general_cold_start_rows: int = 4000
    grade_weights: Sequence[float] = GRADE_WEIGHTS

    def __post_init__(self) -> None:
        super().__post_init__()
        weights = self.grade_weights
        if len(weights) != NUM_GRADES or min(weights) < 0 or not any(weights):
            raise BadInput(f"grade_weights are {NUM_GRADES} numbers from 0 on, for grades 1 to 5, not all 0")


@takes_fields_of(HybridOptions)
def build_hybrid(out_dir: str | os.PathLike[str], options: HybridOptions) -> dict[str, Path]:
    """`recipes.digits:build_digits` with general prompts shuffled in; returns the paths of the three sets.

    The same options give the same bytes. Raises `BadInput` for options out of range.
    """
    train, heldout, rows = draw_digits(options)
    train_bank, heldout_bank = digit_banks(options.heldout_frac, options.split_seed)

    def descriptions(of: str, bank: DigitBank) -> Descriptions:
        return Descriptions(bank, options.grade_weights, random.Random(f"descriptions {of} {options.seed}"))

    train += descriptions("train", train_bank).prompts(options.num_general_prompts)
    heldout += descriptions("heldout", heldout_bank).prompts(options.num_general_heldout_prompts)
    rows += descriptions("cold start", train_bank).rows(options.num_general_cold_start_rows)
    for mixed in (train, heldout, rows):
        random.Random(f"hybrid {options.seed}").shuffle(mixed)
    return save_sets(out_dir, train, heldout, rows)


def build_description_preferences(
    out_dir: str | os.PathLike[str],
    *,
    seed: int = 0,
    num_train_prompts: int = 6000,
    num_heldout_prompts: int = 200,
    false_frac: float = 0.0,
    heldout_frac: float = 0.2,
    split_seed: int = 0,
) -> dict[str, Path]:
    """Lists of graded descriptions, `train.parquet` and `heldout.parquet`; handwriting split as the prompts'.

    `false_frac` of the training lists are a true description and the same words of another picture; held-out lists have
    all grades.
    """
    written = {}
    for name, bank in zip(("train", "heldout"), digit_banks(heldout_frac, split_seed), strict=True):
        drawn = Descriptions(bank, GRADE_WEIGHTS, random.Random(f"description preferences {name} {seed}"))
        num, false = (num_train_prompts, false_frac) if name == "train" else (num_heldout_prompts, 0.0)
        written[name] = save_preferences(Path(out_dir) / f"{name}.parquet", drawn.preferences(num, false))
    return written
