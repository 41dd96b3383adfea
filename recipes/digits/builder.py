"""The handwritten-digits task: real pictures without a download, on which a tiny policy learns in minutes.

Prompts for RL, held-out prompts from handwriting that is never trained on, and cold-start rows of deliberately
mixed quality (as in Seed1.5-VL, whose cold start is small and plain): half hold an empty thought, some a broken
format, so that RL has a strategy to find (list the digits, then answer) and a format to enforce.
"""

from __future__ import annotations

import os
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from recipes.digits.picture import NUM_CELLS, DigitBank, DigitPicture, digit_banks, draw_picture
from recipes.digits.question import QUESTION_TYPES, WORDINGS, DigitQuestion, ask
from sampler.data.data_builder import takes_fields_of
from sampler.data.prompt_dataset import save_prompts
from sampler.data.sft_row import SftRow, save_sft_rows
from sampler.prompt import Prompt
from verifiers.errors import BadInput, near_name

SOURCE = "digits"
MAX_DRAWS = 500  # for one more distinct prompt: runs out only when far more are asked for than there are


@dataclass(frozen=True, kw_only=True)
class DigitsOptions:
    """How many prompts and rows, which questions, how good the cold start is, and which handwriting is held out.

    ``cold_start_question_types`` are asked in turn in the cold start where they differ from ``question_types``; a type
    named twice has twice the rows. For ``easy_frac``, ``broken_frac`` and ``transcribe_frac`` see
    ``cold_start_rows``. Which handwriting is held out depends on ``split_seed`` alone, not on ``seed``.

    Raises: BadInput for an option out of range.
    """

    seed: int = 0
    num_train_prompts: int = 4000
    num_heldout_prompts: int = 400
    num_cold_start_rows: int = 12000
    question_types: Sequence[str] = QUESTION_TYPES
    cold_start_question_types: Sequence[str] | None = None
    min_digits: int = 2
    max_digits: int = 4
    random_cells: bool = False
    easy_frac: float = 0.5
    broken_frac: float = 0.05
    transcribe_frac: float = 0.2
    heldout_frac: float = 0.2
    split_seed: int = 0

    def __post_init__(self) -> None:
        if not self.question_types:
            raise BadInput("question_types is empty")
        for name in (*self.question_types, *(self.cold_start_question_types or ())):
            if name not in WORDINGS:
                raise BadInput(f"unknown question type {name!r}{near_name(name, WORDINGS)}")
        if not 1 <= self.min_digits <= self.max_digits <= NUM_CELLS:
            given = f"got {self.min_digits} to {self.max_digits}"
            raise BadInput(f"digits in a picture: 1 <= min_digits <= max_digits <= {NUM_CELLS}, {given}")
        for name, value in vars(self).items():
            if name.startswith("num_") and value < 1:
                raise BadInput(f"{name} is at least 1, got {value}")
            if name.endswith("_frac") and not 0 <= value <= 1:
                raise BadInput(f"{name} is between 0 and 1, got {value}")
        if self.heldout_frac in (0, 1):
            raise BadInput("heldout_frac leaves both splits something: it is between 0 and 1")

    def draw(self, bank: DigitBank, question_type: str, rng: random.Random) -> tuple[Prompt, DigitQuestion]:
        """A random picture with a question of that type."""
        while True:
            num_digits = rng.randint(self.min_digits, self.max_digits)
            picture = draw_picture(bank, rng, num_digits, random_cells=self.random_cells)
            question = ask(picture, question_type, rng)
            if question is not None:
                return prompt_of(picture, question), question


@takes_fields_of(DigitsOptions)
def build_digits(out_dir: str | os.PathLike[str], options: DigitsOptions) -> dict[str, Path]:
    """Write `train.parquet`, `heldout.parquet` (prompts) and `cold_start.parquet` (SFT rows); returns their paths.

    The same options give the same bytes. No cold-start row repeats a train prompt. Raises `BadInput` for options out
    of range.
    """
    return save_sets(out_dir, *draw_digits(options))


def draw_digits(options: DigitsOptions) -> tuple[list[Prompt], list[Prompt], list[SftRow]]:
    """Train prompts, held-out prompts and cold-start rows. Raises `BadInput` when there are not so many prompts."""
    train_bank, heldout_bank = digit_banks(options.heldout_frac, options.split_seed)

    def rng(of: str) -> random.Random:
        return random.Random(f"digits {of} {options.seed}")

    train = distinct_prompts(train_bank, options, options.num_train_prompts, rng("train"))
    heldout = distinct_prompts(heldout_bank, options, options.num_heldout_prompts, rng("heldout"))
    seen = {prompt.prompt_id for prompt in train}
    return train, heldout, cold_start_rows(train_bank, options, rng("cold start"), exclude=seen)


def save_sets(
    out_dir: str | os.PathLike[str],
    train: Sequence[Prompt],
    heldout: Sequence[Prompt],
    cold_start: Sequence[SftRow],
) -> dict[str, Path]:
    """The three sets of a run as Parquet files, and their paths by name."""
    out = Path(out_dir)
    return {
        "train": save_prompts(out / "train.parquet", train),
        "heldout": save_prompts(out / "heldout.parquet", heldout),
        "cold_start": save_sft_rows(out / "cold_start.parquet", cold_start),
    }


def distinct_prompts(bank: DigitBank, options: DigitsOptions, num: int, rng: random.Random) -> list[Prompt]:
    """`num` different prompts, question types in turn. Raises `BadInput` when there are not so many."""
    prompts: dict[str, Prompt] = {}
    while len(prompts) < num:
        question_type = options.question_types[len(prompts) % len(options.question_types)]
        for _ in range(MAX_DRAWS):
            prompt, _question = options.draw(bank, question_type, rng)
            if prompt.prompt_id not in prompts:
                prompts[prompt.prompt_id] = prompt
                break
        else:
            raise BadInput(
                f"cannot draw {num} different {question_type!r} prompts: stuck after {len(prompts)}"
            )
    return list(prompts.values())


def cold_start_rows(
    bank: DigitBank, options: DigitsOptions, rng: random.Random, *, exclude: Collection[str]
) -> list[SftRow]:
    """SFT rows of mixed quality, question types in turn.

    `transcribe_frac` of all rows ask for the digits themselves, which brings reading forward; of the others,
    `easy_frac` have an empty thought and, independently, `broken_frac` a broken format.
    """
    types = options.cold_start_question_types or options.question_types
    rows: list[SftRow] = []
    num_questions = 0
    while len(rows) < options.num_cold_start_rows:
        transcribe = rng.random() < options.transcribe_frac
        question_type = "transcribe" if transcribe else types[num_questions % len(types)]
        prompt, question = options.draw(bank, question_type, rng)
        if prompt.prompt_id in exclude:
            continue
        if transcribe:
            rows.append(SftRow(prompt, question.response()))
            continue
        num_questions += 1
        easy = rng.random() < options.easy_frac
        broken = rng.random() < options.broken_frac
        response = question.broken_response(rng, easy=easy) if broken else question.response(easy=easy)
        rows.append(SftRow(prompt, response))
    return rows


def prompt_of(picture: DigitPicture, question: DigitQuestion) -> Prompt:
    """The picture with its question; a general prompt where no verifier can judge the answer."""
    return Prompt.build(
        messages=[{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question.text}]}],
        images=[picture.png],
        kind="verifiable" if question.verifier else "general",
        verifier=question.verifier,
        reference=question.reference,
        source=SOURCE,
        tags=(question.question_type, str(len(picture.digits))),
    )
