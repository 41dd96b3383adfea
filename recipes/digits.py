"""The handwritten-digits task: real pictures without a download, on which a tiny policy learns in minutes.

Prompts for RL, held-out prompts from handwriting that is never trained on, and cold-start rows of deliberately
mixed quality (as in Seed1.5-VL, whose cold start is small and plain): half hold an empty thought, some a broken
format, so that RL has a strategy to find (list the digits, then answer) and a format to enforce.
"""

from __future__ import annotations

import os
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from recipes.digit_picture import NUM_CELLS, DigitBank, DigitPicture, digit_banks, draw_picture
from recipes.digit_question import QUESTION_TYPES, WORDINGS, DigitQuestion, ask
from sampler.prompt import Prompt
from sampler.prompt_dataset import save_prompts
from sampler.sft_row import SftRow, save_sft_rows
from verifiers.errors import BadInput, near_name

SOURCE = "digits"
MAX_DRAWS = 500  # for one more distinct prompt: runs out only when far more are asked for than there are


@dataclass(frozen=True)
class DigitsShape:
    """Which questions are asked, about pictures of how many digits, and where the digits stand."""

    question_types: tuple[str, ...] = QUESTION_TYPES
    min_digits: int = 2
    max_digits: int = 4
    random_cells: bool = False

    def draw(self, bank: DigitBank, question_type: str, rng: random.Random) -> tuple[Prompt, DigitQuestion]:
        """A random picture of this shape with a question of that type."""
        while True:
            num_digits = rng.randint(self.min_digits, self.max_digits)
            picture = draw_picture(bank, rng, num_digits, random_cells=self.random_cells)
            question = ask(picture, question_type, rng)
            if question is not None:
                return prompt_of(picture, question), question


def build_digits(
    out_dir: str | os.PathLike[str],
    *,
    seed: int = 0,
    num_train_prompts: int = 4000,
    num_heldout_prompts: int = 400,
    num_cold_start_rows: int = 12000,
    question_types: Sequence[str] = QUESTION_TYPES,
    cold_start_question_types: Sequence[str] | None = None,
    min_digits: int = 2,
    max_digits: int = 4,
    random_cells: bool = False,
    easy_frac: float = 0.5,
    broken_frac: float = 0.05,
    transcribe_frac: float = 0.2,
    heldout_frac: float = 0.2,
    split_seed: int = 0,
) -> dict[str, Path]:
    """Write `train.parquet`, `heldout.parquet` (prompts) and `cold_start.parquet` (SFT rows); returns their paths.

    The same arguments give the same bytes. Which handwriting is held out hangs on `split_seed` alone, not on
    `seed`. No cold-start row repeats a train prompt. `cold_start_question_types` are asked in turn in the cold start
    where they differ from `question_types`; a type named twice has twice the rows. Raises `BadInput` for options out
    of range.
    """
    _check_options(
        (*question_types, *(cold_start_question_types or ())),
        min_digits,
        max_digits,
        num_train_prompts=num_train_prompts,
        num_heldout_prompts=num_heldout_prompts,
        num_cold_start_rows=num_cold_start_rows,
        easy_frac=easy_frac,
        broken_frac=broken_frac,
        transcribe_frac=transcribe_frac,
        heldout_frac=heldout_frac,
    )
    shape = DigitsShape(tuple(question_types), min_digits, max_digits, random_cells)
    train_bank, heldout_bank = digit_banks(heldout_frac, split_seed)
    train = distinct_prompts(train_bank, shape, num_train_prompts, random.Random(f"digits train {seed}"))
    heldout = distinct_prompts(
        heldout_bank, shape, num_heldout_prompts, random.Random(f"digits heldout {seed}")
    )
    rows = cold_start_rows(
        train_bank,
        replace(shape, question_types=tuple(cold_start_question_types or question_types)),
        num_cold_start_rows,
        random.Random(f"digits cold start {seed}"),
        easy_frac=easy_frac,
        broken_frac=broken_frac,
        transcribe_frac=transcribe_frac,
        exclude={prompt.prompt_id for prompt in train},
    )
    out = Path(out_dir)
    return {
        "train": save_prompts(out / "train.parquet", train),
        "heldout": save_prompts(out / "heldout.parquet", heldout),
        "cold_start": save_sft_rows(out / "cold_start.parquet", rows),
    }


def distinct_prompts(bank: DigitBank, shape: DigitsShape, num: int, rng: random.Random) -> list[Prompt]:
    """`num` different prompts, question types in turn. Raises `BadInput` when there are not so many."""
    prompts: dict[str, Prompt] = {}
    while len(prompts) < num:
        question_type = shape.question_types[len(prompts) % len(shape.question_types)]
        for _ in range(MAX_DRAWS):
            prompt, _question = shape.draw(bank, question_type, rng)
            if prompt.prompt_id not in prompts:
                prompts[prompt.prompt_id] = prompt
                break
        else:
            raise BadInput(
                f"cannot draw {num} different {question_type!r} prompts: stuck after {len(prompts)}"
            )
    return list(prompts.values())


def cold_start_rows(
    bank: DigitBank,
    shape: DigitsShape,
    num: int,
    rng: random.Random,
    *,
    easy_frac: float,
    broken_frac: float,
    transcribe_frac: float,
    exclude: Collection[str] = (),
) -> list[SftRow]:
    """SFT rows of mixed quality, question types in turn.

    `transcribe_frac` of all rows ask for the digits themselves, which brings reading forward; of the others,
    `easy_frac` have an empty thought and, independently, `broken_frac` a broken format.
    """
    rows: list[SftRow] = []
    num_questions = 0
    while len(rows) < num:
        transcribe = rng.random() < transcribe_frac
        question_type = shape.question_types[num_questions % len(shape.question_types)]
        prompt, question = shape.draw(bank, "transcribe" if transcribe else question_type, rng)
        if prompt.prompt_id in exclude:
            continue
        if transcribe:
            rows.append(SftRow(prompt, question.response()))
            continue
        num_questions += 1
        easy = rng.random() < easy_frac
        broken = rng.random() < broken_frac
        response = question.broken_response(rng, easy=easy) if broken else question.response(easy=easy)
        rows.append(SftRow(prompt, response))
    return rows


def tokenizer_corpus(num_texts: int = 4000, *, seed: int = 0) -> list[str]:
    """Questions and responses in the proportions a run sees: what the demo's tokenizer is trained on."""
    rng = random.Random(f"digits corpus {seed}")
    train_bank, _ = digit_banks(0.2, 0)
    shape = DigitsShape()
    texts: list[str] = []
    while len(texts) < num_texts:
        question_type = (*QUESTION_TYPES, "transcribe")[len(texts) // 2 % (len(QUESTION_TYPES) + 1)]
        prompt, question = shape.draw(train_bank, question_type, rng)
        texts += [prompt.text, question.response(easy=rng.random() < 0.5)]
    return texts[:num_texts]


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


def _check_options(
    question_types: Sequence[str], min_digits: int, max_digits: int, **numbers: int | float
) -> None:
    if not question_types:
        raise BadInput("question_types is empty")
    for name in question_types:
        if name not in WORDINGS:
            raise BadInput(f"unknown question type {name!r}{near_name(name, WORDINGS)}")
    if not 1 <= min_digits <= max_digits <= NUM_CELLS:
        given = f"got {min_digits} to {max_digits}"
        raise BadInput(f"digits in a picture: 1 <= min_digits <= max_digits <= {NUM_CELLS}, {given}")
    for name, value in numbers.items():
        if name.startswith("num_") and value < 1:
            raise BadInput(f"{name} is at least 1, got {value}")
        if name.endswith("_frac") and not 0 <= value <= 1:
            raise BadInput(f"{name} is between 0 and 1, got {value}")
    if numbers["heldout_frac"] in (0, 1):
        raise BadInput("heldout_frac leaves both splits something: it is between 0 and 1")
