"""The final answer: the only part of a response that any judge sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

AnswerStatus = Literal["ok", "truncated", "no_thought", "malformed", "empty"]
ANSWER_STATUSES: tuple[AnswerStatus, ...] = get_args(AnswerStatus)


@dataclass(frozen=True, slots=True)
class FinalAnswer:
    """The text after the thought.

    `status` other than `ok` is worth reward 0 and is counted under its own name:
    `truncated` (the length limit cut the response), `no_thought` (a thought was expected and no tag is there),
    `malformed` (tags missing, repeated or out of order), `empty` (nothing after the thought).
    """

    text: str
    status: AnswerStatus = "ok"

    def __post_init__(self) -> None:
        if self.status not in ANSWER_STATUSES:
            raise ValueError(f"answer status {self.status!r} is not one of {', '.join(ANSWER_STATUSES)}")

    @property
    def ok(self) -> bool:
        return self.status == "ok"
