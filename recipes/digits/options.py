"""What a recipe may say about the handwritten digits that are drawn for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recipes.digits.picture import NUM_CELLS
from recipes.digits.question import QUESTION_TYPES, WORDINGS
from verifiers.errors import BadInput, near_name


@dataclass(frozen=True, kw_only=True)
class DigitsOptions:
    """How many prompts and rows, which questions, how good the cold start is, and which handwriting is held out.

    ``cold_start_question_types`` are asked in turn in the cold start where they differ from ``question_types``; a type
    named twice has twice the rows. For ``easy_frac``, ``broken_frac`` and ``transcribe_frac`` see
    ``builder.cold_start_rows``. Which handwriting is held out hangs on ``split_seed`` alone, not on ``seed``.

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
