"""One rollout as it is shown: what the model thought and answered, and how it was judged."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

Outcome = Literal["right", "wrong", "unjudged"]
MAX_SHOWN_CHARS = 1200
UNJUDGED_WORDS = frozenset({"timeout", "error", "not judged"})

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class ShownText:
    """Model output cut to a length a page can bear; `num_chars` says how long it was."""

    text: str
    num_chars: int

    @property
    def num_cut(self) -> int:
        return self.num_chars - len(self.text)

    @classmethod
    def of(cls, text: str | None, num_chars: int | None = None, limit: int = MAX_SHOWN_CHARS) -> ShownText:
        """Characters that would hide or reorder what follows become visible boxes. Escaping is the template's part."""
        whole = text or ""
        return cls(_CONTROL.sub("\ufffd", whole[:limit]), max(num_chars or 0, len(whole)))


@dataclass(frozen=True)
class Attempt:
    """A row of the rollout log, made ready to be shown."""

    rollout_id: str
    stage: str
    step: int
    index: int
    policy_version: int
    thought: ShownText
    answer: ShownText
    outcome: Outcome
    word: str  # right, wrong, or what went wrong: truncated, malformed, timeout, ...
    reason: str
    reward: float | None
    score: float | None
    verifier: str
    extracted: str
    num_response_tokens: int

    @property
    def mark(self) -> str:
        return {"right": "✓", "wrong": "✗", "unjudged": "–"}[self.outcome]

    @classmethod
    def from_row(cls, row: dict[str, Any], limit: int = MAX_SHOWN_CHARS) -> Attempt:
        """`row` holds the columns of `RolloutTable`; thought, answer and response may come already cut."""
        word = str(row["word"])
        thought, answer = row.get("thought"), row.get("answer")
        if not thought and not answer:  # nothing could be split: show what came
            answer, row = row.get("response"), {**row, "answer_chars": row.get("response_chars")}
        return cls(
            rollout_id=str(row["rollout_id"]),
            stage=str(row["stage"]),
            step=int(row.get("step") or 0),
            index=int(row.get("index") or 0),
            policy_version=int(row.get("policy_version") or 0),
            thought=ShownText.of(thought, row.get("thought_chars"), limit),
            answer=ShownText.of(answer, row.get("answer_chars"), limit),
            outcome="right" if word == "right" else "unjudged" if word in UNJUDGED_WORDS else "wrong",
            word=word,
            reason=ShownText.of(row.get("verdict_reason"), limit=300).text,
            reward=row.get("reward"),
            score=row.get("verdict_score"),
            verifier=str(row.get("verifier") or ""),
            extracted=ShownText.of(row.get("verdict_extracted"), limit=300).text,
            num_response_tokens=int(row.get("num_response_tokens") or 0),
        )
