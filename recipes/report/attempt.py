"""One rollout as it is shown: what the model thought and answered, and how it was judged."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, replace
from typing import Any, Literal

from recipes.report.drawing.curve import short_number
from reward_models.rubric import PART
from reward_models.score import PARITY_TOLERANCE

Outcome = Literal["right", "wrong", "won", "even", "lost", "unjudged"]
MAX_SHOWN_CHARS = 1200
UNJUDGED_WORDS = frozenset({"timeout", "error", "not judged"})
MARKS: dict[Outcome, str] = {
    "right": "✓",
    "wrong": "✗",
    "won": "▲",
    "even": "=",
    "lost": "▼",
    "unjudged": "–",
}

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
        return cls(without_control(whole[:limit]), max(num_chars or 0, len(whole)))


def without_control(text: str) -> str:
    """Control characters but tab and line feed, and those that reorder what follows, as visible boxes."""
    return _CONTROL.sub("\ufffd", text)


@dataclass(frozen=True)
class ShownScore:
    """A reward model's score. `parts` are those of `reward_models.score.Score`; older logs have none."""

    status: str
    probability: float | None
    parts: dict[str, float]

    @property
    def words(self) -> str:
        """ "0.93 against the reference; shown first 0.95, shown second 0.91"."""
        if self.probability is None:
            return ""
        met = {name.removeprefix(PART): part for name, part in self.parts.items() if name.startswith(PART)}
        if met:
            criteria = ", ".join(f"{name} {probability_words(part)}" for name, part in met.items())
            return f"{probability_words(self.probability)} by its rubric: {criteria}"
        words = f"{probability_words(self.probability)} against the reference"
        if {"as_first", "as_second"} <= self.parts.keys():
            first, second = (probability_words(self.parts[name]) for name in ("as_first", "as_second"))
            return f"{words}; shown first {first}, shown second {second}"
        if {"score", "reference_score"} <= self.parts.keys():
            return f"{words}; scored {self.parts['score']:.2f}, the reference {self.parts['reference_score']:.2f}"
        return words

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> ShownScore | None:
        """From the columns of the rollout log; None where no reward model was asked."""
        if not row.get("score_status"):
            return None
        try:
            parts = dict(json.loads(row.get("score_parts") or "{}"))
        except (ValueError, TypeError):
            parts = {}
        known = {
            name: float(part)
            for name, part in parts.items()
            if isinstance(part, (int, float)) and math.isfinite(part)
        }
        return cls(str(row["score_status"]), row.get("score_probability"), known)


def probability_words(probability: float) -> str:
    """Two decimals; what is not parity is not written as if it were."""
    words = f"{probability:.2f}"
    if words == "0.50" and abs(probability - 0.5) > PARITY_TOLERANCE:
        return f"just {'above' if probability > 0.5 else 'under'} 0.50"
    return words


@dataclass(frozen=True)
class Attempt:
    """A row of the rollout log, made ready to be shown.

    `compared`: no verifier judges it but a reward model, against the prompt's reference.
    """

    rollout_id: str
    stage: str
    step: int
    index: int
    policy_version: int
    thought: ShownText
    answer: ShownText
    outcome: Outcome
    word: str  # right, wrong, won, even, lost, or what went wrong: truncated, malformed, timeout, ...
    compared: bool
    reason: str
    reward: float | None
    learnt: float | None  # what was learnt from; older logs do not say
    verdict_score: float | None
    score: ShownScore | None
    verifier: str
    num_response_tokens: int
    blind: bool = False  # the policy was not shown the pictures
    revision: str | None = None  # of the prompt, by which it was judged; older logs do not say
    logged: str = ""  # the log's word, where the verdict that is shown is another

    def judged_again(self, row: dict[str, Any], pass_score: float) -> Attempt:
        """With a later verdict, a row of the table that rejudging leaves. A broken format has no verdict, then as
        before."""
        reward, status = row.get("reward"), str(row.get("verdict_status") or "")
        if not status:
            return self
        word = status if reward is None else "right" if reward >= pass_score else "wrong"
        reason = ShownText.of(f"judged again: {row.get('verdict_reason') or ''}", limit=300).text
        verifier = str(row.get("verifier") or self.verifier)
        return self._otherwise(word, reason, reward=reward, verdict_score=reward, verifier=verifier)

    @property
    def without_verdict(self) -> Attempt:
        """As an answer of a prompt that was corrected since is shown, until it is judged again."""
        reason = (
            "judged by a reference that was corrected since: hone prompts rejudge judges it by the new one"
        )
        return self._otherwise("not judged", reason, reward=None, verdict_score=None)

    def _otherwise(self, word: str, reason: str, **fields: Any) -> Attempt:
        outcome = _outcome(word, False)
        return replace(
            self, word=word, outcome=outcome, reason=reason, compared=False, score=None, learnt=None,
            logged=self.word if outcome != self.outcome else "", **fields,
        )  # fmt: skip

    @property
    def mark(self) -> str:
        return MARKS[self.outcome]

    @property
    def why(self) -> str:
        """What is behind the word: who judged, what it was worth and the judge's reason."""
        if self.outcome == "unjudged":
            words = "not counted"
        elif self.score is not None:
            words = self.score.words
        elif self.outcome == "lost":
            words = "loses without being compared"
        else:
            words = "" if self.verdict_score is None else f"score {short_number(self.verdict_score)}"
        judge = "reward model" if self.compared else self.verifier
        failure = f"{self.score.status}: " if self.score is not None and self.outcome == "unjudged" else ""
        reason = f"{judge}: {failure}{self.reason}" if self.reason or failure else ""
        weighed = self.learnt is not None and self.learnt != self.reward
        learnt = f"learnt from as {self.learnt:.2f}" if weighed else ""
        return " · ".join(filter(None, (words, learnt, reason)))

    @classmethod
    def from_row(cls, row: dict[str, Any], limit: int = MAX_SHOWN_CHARS) -> Attempt:
        """`row` holds the columns of `RolloutTable`; thought, answer and response may come already cut."""
        word, compared = str(row["word"]), bool(row.get("compared"))
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
            outcome=_outcome(word, compared),
            word=word,
            compared=compared,
            reason=ShownText.of(row.get("score_reason" if compared else "verdict_reason"), limit=300).text,
            reward=row.get("reward"),
            learnt=row.get("reward_learnt"),
            verdict_score=row.get("verdict_score"),
            score=ShownScore.from_row(row) if compared else None,
            verifier=str(row.get("verifier") or ""),
            num_response_tokens=int(row.get("num_response_tokens") or 0),
            blind=bool(row.get("blind")),
            revision=row.get("revision"),
        )


def _outcome(word: str, compared: bool) -> Outcome:
    """A broken format is wrong, and against a reference it loses; what no judge decided on is neither."""
    if word in UNJUDGED_WORDS:
        return "unjudged"
    if compared:
        return "won" if word == "won" else "even" if word == "even" else "lost"
    return "right" if word == "right" else "wrong"
