"""Prompt sets of the gym: any mixture of exercises, difficulties and sizes, drawn by all cores.

Which questions are held out depends on their content alone (`is_held_out`), so no set that was ever built, by whatever
seed, trains on a question that another one holds out.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from recipes.gym.catalogue import EXERCISES, exercise_named
from recipes.gym.exercise import LEAST_PX, MOST_PX, PX_STEP, Question
from sampler.data.data_builder import takes_fields_of
from sampler.data.packed_rows import in_processes
from sampler.data.prompt_dataset import save_prompts
from sampler.data.sft_row import SftRow, save_sft_rows
from sampler.prompt import Prompt, content_id
from verifiers.errors import BadInput

HELD_OUT_FRAC = 0.2  # of all questions there are
MAX_DRAWS = 300  # for one more question that is new and on the right side of the split
PART_SIZE = 64  # questions that a process draws in one go


@dataclass(frozen=True, kw_only=True)
class GymOptions:
    """How many prompts and rows, of which exercises, how hard and how large.

    ``exercises`` are names, or names with weights; none: all of them alike. Difficulties are drawn evenly between
    ``min_difficulty`` and ``max_difficulty``, sides between ``min_px`` and ``max_px`` in pixels; a picture that could
    not be read so small is larger. Of the cold-start rows ``easy_frac`` have an empty thought and ``broken_frac`` a
    broken format.

    Raises: BadInput for an option out of range.
    """

    seed: int = 0
    num_train_prompts: int = 20_000
    num_heldout_prompts: int = 500
    num_cold_start_rows: int = 0
    exercises: dict[str, float] | list[str] | None = None
    min_difficulty: float = 0.0
    max_difficulty: float = 1.0
    min_px: int = LEAST_PX
    max_px: int = MOST_PX
    easy_frac: float = 0.5
    broken_frac: float = 0.05

    def __post_init__(self) -> None:
        if not self.weights or min(self.weights.values()) < 0 or not any(self.weights.values()):
            raise BadInput("exercises are names of some, with weights from 0 on and not all 0")
        for name in self.weights:
            exercise_named(name)
        for name, low, high, ends in (
            ("difficulty", self.min_difficulty, self.max_difficulty, (0, 1)),
            ("px", self.min_px, self.max_px, (LEAST_PX, MOST_PX)),
        ):
            if not ends[0] <= low <= high <= ends[1]:
                raise BadInput(f"{ends[0]} <= min_{name} <= max_{name} <= {ends[1]}, got {low} to {high}")
        for name, value in vars(self).items():
            if name.startswith("num_") and value < (name != "num_cold_start_rows"):
                raise BadInput(f"{name} is at least {int(name != 'num_cold_start_rows')}, got {value}")
            if name.endswith("_frac") and not 0 <= value <= 1:
                raise BadInput(f"{name} is between 0 and 1, got {value}")

    @property
    def weights(self) -> Mapping[str, float]:
        """By exercise."""
        if isinstance(self.exercises, dict):
            return self.exercises
        return dict.fromkeys(EXERCISES if self.exercises is None else self.exercises, 1.0)


@takes_fields_of(GymOptions)
def build_gym(out_dir: str | os.PathLike[str], options: GymOptions) -> dict[str, Path]:
    """Write `train.parquet`, `heldout.parquet` (prompts) and, where rows are asked for, `cold_start.parquet`; returns
    their paths. The same options give the same bytes. Raises `BadInput` for options out of range."""
    out = Path(out_dir)
    paths = {
        name: save_prompts(out / f"{name}.parquet", (prompt for prompt, _ in Stream(options, name).draw(num)))
        for name, num in (("train", options.num_train_prompts), ("heldout", options.num_heldout_prompts))
    }
    if options.num_cold_start_rows:
        rows = cold_start_rows(options)
        paths["cold_start"] = save_sft_rows(out / "cold_start.parquet", rows)
    return paths


def cold_start_rows(options: GymOptions) -> Iterator[SftRow]:
    """Questions with a response of mixed quality; none of them is held out."""
    rng = random.Random(f"gym responses {options.seed}")
    for prompt, question in Stream(options, "cold start").draw(options.num_cold_start_rows):
        thought = "" if rng.random() < options.easy_frac else question.thought
        response = f"<think>{thought}</think>{question.answer}"
        if rng.random() < options.broken_frac:
            response = rng.choice((response.replace("</think>", ""), f"<think>{thought}</think>"))
        yield SftRow(prompt, response)


def is_held_out(prompt: Prompt) -> bool:
    """By what is asked and shown. A puzzle is all in its reference: in other colours or words it is the same
    question."""
    whole = isinstance(prompt.reference, dict)
    asked = content_id((), (), (), prompt.verifier, prompt.reference) if whole else prompt.question_id
    return int(asked, 16) < HELD_OUT_FRAC * 16**16


@dataclass(frozen=True)
class Stream:
    """Different questions of one set (`train`, `heldout`, `cold start`), each from random numbers of its own."""

    options: GymOptions
    name: str

    def draw(self, num: int) -> Iterator[tuple[Prompt, Question]]:
        """The exercises in turn. Raises: BadInput where there are not so many different questions."""
        turns = in_turn(self.options.weights, num)
        parts = [
            list(enumerate(turns[start : start + PART_SIZE], start)) for start in range(0, num, PART_SIZE)
        ]
        seen: set[str] = set()
        for part, drawn in zip(parts, in_processes(self._draw_part, parts), strict=True):
            for (index, name), first in zip(part, drawn, strict=True):
                found, attempt = first, 0
                while (question_id := found[0].question_id) in seen:
                    attempt += 1
                    if attempt == MAX_DRAWS:
                        raise BadInput(f"cannot draw {num} different questions: no more of {name!r}")
                    found = self._draw(index, name, attempt)
                seen.add(question_id)
                yield found

    def _draw_part(self, part: Sequence[tuple[int, str]]) -> list[tuple[Prompt, Question]]:
        return [self._draw(index, name, 0) for index, name in part]

    def _draw(self, index: int, name: str, attempt: int) -> tuple[Prompt, Question]:
        """The first question on this set's side of the split."""
        options, exercise = self.options, exercise_named(name)
        rng = random.Random(f"gym {self.name} {options.seed} {index} {attempt}")
        for _ in range(MAX_DRAWS):
            difficulty = rng.uniform(options.min_difficulty, options.max_difficulty)
            px = PX_STEP * rng.randint(-(-options.min_px // PX_STEP), options.max_px // PX_STEP)
            question = exercise.make(rng, difficulty, px)
            prompt = exercise.prompt(question, difficulty)
            if is_held_out(prompt) == (self.name == "heldout"):
                return prompt, question
        raise BadInput(f"cannot draw a question of {name!r} for {self.name}: there are too few")


def in_turn(weights: Mapping[str, float], num: int) -> list[str]:
    """Names by weight, spread evenly: after any number of turns each has had its share to within one.

    >>> in_turn({"a": 2, "b": 1}, 6)
    ['a', 'b', 'a', 'a', 'b', 'a']
    """
    due, total, turns = dict.fromkeys(weights, 0.0), sum(weights.values()), []
    for _ in range(num):
        for name, weight in weights.items():
            due[name] += weight
        turns.append(max(due, key=lambda name: due[name]))
        due[turns[-1]] -= total
    return turns
