"""What the gym asks: an exercise draws questions of one kind, as hard as it is told."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sampler.prompt import Prompt, Reference
from verifiers.errors import BadInput

SOURCE = "gym"
LEAST_PX, MOST_PX = 112, 448
PX_STEP = 16  # of two patches of 8, or one of 16


@dataclass(frozen=True)
class Question:
    """What is shown and asked, and the right answer.

    ``answer`` is a right final answer as a policy would write it, ``thought`` what one sees on the way to it. ``load``
    counts what there is to look at; over many questions it grows with the difficulty.
    """

    text: str
    reference: Reference
    answer: str
    load: float
    images: tuple[bytes, ...] = ()
    videos: tuple[bytes, ...] = ()
    thought: str = ""


Draw = Callable[
    [random.Random, float, int], Question
]  # source of chance, difficulty, side of the picture in px


@dataclass(frozen=True)
class Exercise:
    """One kind of question. What it draws depends on the random numbers, the difficulty in [0, 1] and the side in
    pixels.

    The text tells nothing of the answer: whoever does not look can do no better than one answer for all. ``easy_px``
    and ``hard_px`` are the least sides at which a picture of difficulty 0 and 1 can be read.
    """

    name: str
    summary: str
    verifier: str
    draw: Draw
    easy_px: int = LEAST_PX
    hard_px: int = 224
    verifier_options: Mapping[str, Any] = field(default_factory=dict)

    def least_px(self, difficulty: float) -> int:
        """Of a readable picture, a multiple of 16."""
        side = self.easy_px + (self.hard_px - self.easy_px) * difficulty
        return PX_STEP * round(side / PX_STEP)

    def make(self, rng: random.Random, difficulty: float, px: int = LEAST_PX) -> Question:
        """A question with pictures of ``px`` a side, or more where they could not be read.

        Raises: BadInput for a difficulty or a side out of range.
        """
        if not 0 <= difficulty <= 1:
            raise BadInput(f"a difficulty is between 0 and 1, got {difficulty}")
        if not LEAST_PX <= px <= MOST_PX:
            raise BadInput(f"a picture has a side of {LEAST_PX} to {MOST_PX} pixels, got {px}")
        return self.draw(rng, difficulty, max(px, self.least_px(difficulty)))

    def prompt(self, question: Question, difficulty: float) -> Prompt:
        """The question as a prompt; tags are the exercise and the difficulty."""
        shown = [{"type": "image"}] * len(question.images) + [{"type": "video"}] * len(question.videos)
        return Prompt.build(
            messages=[{"role": "user", "content": [*shown, {"type": "text", "text": question.text}]}],
            images=question.images,
            videos=question.videos,
            verifier=self.verifier,
            verifier_options=self.verifier_options,
            reference=question.reference,
            source=SOURCE,
            tags=(self.name, f"{difficulty:.2f}"),
        )


def between(difficulty: float, easy: int, hard: int) -> int:
    """The whole number that far from ``easy`` to ``hard``."""
    return round(easy + (hard - easy) * difficulty)


def boxed(answer: object) -> str:
    """``\\boxed{7}``."""
    return f"\\boxed{{{answer}}}"
