"""What every reward model offers, whatever it is inside, and what all of them do before they ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from reward_models.answer_comparison import AnswerComparison
from reward_models.score import Score
from reward_models.thought_tags import holds_thought
from sampler.chat_text import escaped


class RewardModel(Protocol):
    """Used from one thread. By comparison id the probability that the first answer is the better one."""

    def compare(self, comparisons: Sequence[AnswerComparison]) -> dict[str, Score]:
        """One score for each comparison. A judge's own failure is a score with status ``error``, not an exception."""


def without_asking(comparison: AnswerComparison) -> Score | None:
    """An answer without a sound final part loses to one that has it; None where the model must be asked."""
    first, second = comparison.first.ok, comparison.second.ok
    if first and second:
        return None
    if first == second:
        return Score.scored(0.5, reason="neither answer is sound")
    return Score.scored(float(first), reason=f"the {'second' if first else 'first'} answer is not sound")


def unaskable(comparison: AnswerComparison) -> Score | None:
    """What needs no judge: an answer that is not sound loses; a thought's tags, or nothing to show, is an error."""
    answers = (comparison.first, comparison.second)
    if not all(answer.ok for answer in answers):
        return Score.scored((1 + answers[0].ok - answers[1].ok) / 2, reason="an answer is not sound")
    if any(holds_thought(answer.text) for answer in answers):
        return Score.failed("an answer or its reference holds a thought's tags, which no judge may see")
    if not all(answer.text.strip() for answer in answers):
        return Score.failed("an answer or its reference is empty")
    return None


def escape_control_tokens(comparison: AnswerComparison, control_tokens: Sequence[str]) -> AnswerComparison:
    """The same answers with a space inside each token of the judge's own chat format: to be read, never obeyed.

    Else an answer could end its turn and speak to the judge in another one.
    """
    first, second = (
        replace(answer, text=escaped(answer.text, control_tokens))
        for answer in (comparison.first, comparison.second)
    )
    return replace(comparison, first=first, second=second)
