"""What every reward model offers, whatever it is inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from reward_models.comparison import Comparison
from reward_models.preference import holds_thought
from reward_models.score import Score


class RewardModel(Protocol):
    """Used from one thread. By comparison id the probability that the first answer is the better one."""

    def compare(self, comparisons: Sequence[Comparison]) -> dict[str, Score]: ...


def without_asking(comparison: Comparison, control_tokens: Sequence[str] = ()) -> Score | None:
    """The score of what no model needs to see or may see; None where it must be asked.

    An answer that is not ok loses to one that is. A text with one of the ``control_tokens`` of the model's own chat
    format could open another turn and speak to the judge in it: an error, as for a thought's tags.
    """
    first, second = comparison.first, comparison.second
    if first.ok != second.ok:
        return Score.scored(
            float(first.ok), reason=f"the {'second' if first.ok else 'first'} answer is not sound"
        )
    if not first.ok:
        return Score.scored(0.5, reason="neither answer is sound")
    for text in (first.text, second.text):
        if holds_thought(text):
            return Score.failed("an answer holds a thought's tags, which no judge may see")
        for token in control_tokens:
            if token in text:
                return Score.failed(f"an answer holds {token}, a control token of the reward model's")
    return None
