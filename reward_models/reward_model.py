"""What every reward model offers, whatever it is inside, and what all of them do before they ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from reward_models.answer_comparison import AnswerComparison
from reward_models.score import Score
from reward_models.thought_tags import holds_thought
from sampler.chat_text import escaped
from verifiers.answer import FinalAnswer
from verifiers.errors import HoneError


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


def compared(
    comparisons: Sequence[AnswerComparison],
    control_tokens: Sequence[str],
    ask: Callable[[Sequence[AnswerComparison]], Mapping[str, Score]],
) -> dict[str, Score]:
    """Scores in the order of ``comparisons``. ``ask`` gets those that the model must be asked, without its control
    tokens, and gives their scores by comparison id; where it cannot go on, they are errors."""
    scores = {one.comparison_id: without_asking(one) for one in comparisons}
    asked = [
        escape_control_tokens(one, control_tokens) for one in comparisons if scores[one.comparison_id] is None
    ]
    try:
        given = ask(asked)
    except HoneError as why:
        given = dict.fromkeys(
            (one.comparison_id for one in asked), Score.failed(f"the reward model failed: {why}")
        )
    return {name: given[name] if score is None else score for name, score in scores.items()}


def unaskable(comparison: AnswerComparison) -> Score | None:
    """What needs no judge: an answer loses that is not sound, is empty, or holds a thought's tags, which none may see.

    Such a reference is nobody's answer: an error, unless the answer has lost already.
    """
    flaws = [_flaw(answer) for answer in (comparison.first, comparison.second)]
    if not any(flaws):
        return None
    if flaws[1] and comparison.against_reference and not flaws[0]:
        return Score.failed(f"the reference {flaws[1]}")
    first, second = (not flaw for flaw in flaws)
    if comparison.against_reference:
        second = True
    return Score.scored((1 + first - second) / 2, reason=f"an answer {flaws[0] or flaws[1]}")


def _flaw(answer: FinalAnswer) -> str:
    if not answer.ok:
        return "is not sound"
    if holds_thought(answer.text):
        return "holds a thought's tags"
    return "" if answer.text.strip() else "is empty"


def escape_control_tokens(comparison: AnswerComparison, control_tokens: Sequence[str]) -> AnswerComparison:
    """The same answers with a space inside each token of the judge's own chat format: to be read, never obeyed.

    Else an answer could end its turn and speak to the judge in another one.
    """
    first, second = (
        replace(answer, text=escaped(answer.text, control_tokens))
        for answer in (comparison.first, comparison.second)
    )
    return replace(comparison, first=first, second=second)
