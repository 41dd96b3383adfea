"""What is asked about a picture of digits, the right answer, and how a thought and a solution are written."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from recipes.digits.picture import DigitPicture

QUESTION_TYPES: tuple[str, ...] = ("sum", "largest", "count", "where")

# Few tokens each: sequences stay near 40 tokens, which is what makes the demo fast on two cores.
WORDINGS: dict[str, tuple[str, ...]] = {
    "sum": ("What is the sum of the digits?", "Add up the digits.", "Sum of all digits?"),
    "largest": ("Which digit is the largest?", "Find the largest digit.", "What is the largest digit?"),
    "count": ("How many digits are even?", "Count the even digits.", "How many even digits?"),
    "where": ("Where is the {digit}?", "Find the {digit}.", "Box the digit {digit}."),
    "transcribe": ("Which digits are shown?", "Read the digits.", "List all digits."),
}
VERIFIERS: dict[str, str] = {
    "sum": "math",
    "largest": "number",
    "count": "number",
    "where": "bbox_iou",
    "transcribe": "string",
}


@dataclass(frozen=True)
class DigitQuestion:
    """A question with its reference, the solution text that is right, and a thought that lists the digits."""

    question_type: str
    text: str
    reference: str
    solution: str
    thought: str

    @property
    def verifier(self) -> str | None:
        return VERIFIERS.get(self.question_type)

    def response(self, *, easy: bool = False) -> str:
        """`<think>3+5+1</think>\\boxed{9}`; an easy response has an empty thought."""
        return f"<think>{'' if easy else self.thought}</think>{self.solution}"

    def broken_response(self, rng: random.Random, *, easy: bool = False) -> str:
        """The same with its format broken in one of three ways, none of which a judge may accept."""
        thought = "" if easy else self.thought
        bare = self.solution.removeprefix("\\boxed{").removeprefix("<bbox>")
        bare = bare.removesuffix("}").removesuffix("</bbox>")
        return rng.choice(
            (
                f"<think>{thought}{self.solution}",  # the thought never ends
                f"<think>{thought}</think>",  # no solution
                f"{thought}={bare}",  # no tags at all
            )
        )


def ask(picture: DigitPicture, question_type: str, rng: random.Random) -> DigitQuestion | None:
    """A question of that type in a random wording; None where the picture has no digit that occurs once (`where`)."""
    digits = picture.digits
    wording = rng.choice(WORDINGS[question_type])
    listed = ",".join(map(str, digits))
    if question_type == "where":
        once = [digit for digit in digits if digits.count(digit) == 1]
        if not once:
            return None
        digit = rng.choice(once)
        box = picture.box(digit)
        solution = f"<bbox>{' '.join(map(str, box))}</bbox>"
        thought = search(digits, digit)
        return DigitQuestion(question_type, wording.format(digit=digit), solution, solution, thought)
    if question_type == "transcribe":
        return DigitQuestion(question_type, wording, listed, f"\\boxed{{{listed}}}", "")
    answers = {
        "sum": sum(digits),
        "largest": max(digits),
        "count": sum(digit % 2 == 0 for digit in digits),
    }
    thought = running_sum(digits) if question_type == "sum" else listed
    answer = str(answers[question_type])
    return DigitQuestion(question_type, wording, answer, f"\\boxed{{{answer}}}", thought)


def search(digits: Sequence[int], asked: int) -> str:
    """`6? 8 no 1 no 6 yes`: reads on until the digit is found, one comparison at a time."""
    misses = "".join(f" {digit} no" for digit in digits[: digits.index(asked)])
    return f"{asked}?{misses} {asked} yes"


def running_sum(digits: Sequence[int]) -> str:
    """`3+5=8+1=9`: one small addition at a time, which a tiny policy can learn."""
    words, total = str(digits[0]), digits[0]
    for digit in digits[1:]:
        total += digit
        words += f"+{digit}={total}"
    return words
