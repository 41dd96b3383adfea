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

from recipes.digits.options import DigitsOptions
from recipes.digits.picture import DigitBank, DigitPicture, digit_banks, draw_picture
from recipes.digits.question import QUESTION_TYPES, DigitQuestion, ask
from sampler.data.data_builder import takes_fields_of
from sampler.data.prompt_dataset import save_prompts
from sampler.data.sft_row import SftRow, save_sft_rows
from sampler.prompt import Prompt
from verifiers.errors import BadInput

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


@takes_fields_of(DigitsOptions)
def build_digits(out_dir: str | os.PathLike[str], options: DigitsOptions) -> dict[str, Path]:
    """Write `train.parquet`, `heldout.parquet` (prompts) and `cold_start.parquet` (SFT rows); returns their paths.

    The same options give the same bytes. No cold-start row repeats a train prompt. Raises `BadInput` for options out
    of range.
    """
    return save_sets(out_dir, *draw_digits(options))


def draw_digits(options: DigitsOptions) -> tuple[list[Prompt], list[Prompt], list[SftRow]]:
    """Train prompts, held-out prompts and cold-start rows. Raises `BadInput` when there are not so many prompts."""
    types = options.question_types
    shape = DigitsShape(tuple(types), options.min_digits, options.max_digits, options.random_cells)
    train_bank, heldout_bank = digit_banks(options.heldout_frac, options.split_seed)

    def rng(of: str) -> random.Random:
        return random.Random(f"digits {of} {options.seed}")

    train = distinct_prompts(train_bank, shape, options.num_train_prompts, rng("train"))
    heldout = distinct_prompts(heldout_bank, shape, options.num_heldout_prompts, rng("heldout"))
    rows = cold_start_rows(
        train_bank,
        replace(shape, question_types=tuple(options.cold_start_question_types or types)),
        options.num_cold_start_rows,
        rng("cold start"),
        easy_frac=options.easy_frac,
        broken_frac=options.broken_frac,
        transcribe_frac=options.transcribe_frac,
        exclude={prompt.prompt_id for prompt in train},
    )
    return train, heldout, rows


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
