"""Verifiers that judge at once, and a reward model that prefers what a test says."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from reward_models.answer_comparison import AnswerComparison
from reward_models.score import Score
from rl.experience.judge import Judge, Judgement
from rl.recipe.judging_config import JudgingConfig
from sampler.prompt import Prompt
from verifiers.answer import FinalAnswer
from verifiers.registry import load_verifier


class FakeJudge(Judge):
    """Verifiers judge in this process, at once; a reward model is asked if one is given (see ``FakeScorer``)."""

    def __init__(self, config: JudgingConfig | None = None, **settings: Any) -> None:
        self.config = config or JudgingConfig(**settings)
        self.thinking_tags = ("<think>", "</think>")
        self._scorer = None

    def close(self) -> None: ...

    def _submit(self, prompt: Prompt, rollout_id: str, answer: FinalAnswer) -> Judgement:
        if prompt.verifier is None:
            return super()._submit(prompt, rollout_id, answer)
        verdict: Future[Any] = Future()
        verdict.set_result(
            load_verifier(prompt.verifier, prompt.verifier_options).judge(prompt.reference, answer)
        )
        return verdict


class FakeScorer:
    """Prefers the answer that ``prefers`` gives a probability above one half; by default the longer one."""

    def __init__(self, prefers: Callable[[AnswerComparison], float] | None = None) -> None:
        self.prefers = prefers or longer_wins

    def submit(self, comparison: AnswerComparison) -> Future[Score]:
        score: Future[Score] = Future()
        probability = self.prefers(comparison)
        parts = {"as_first": probability, "as_second": probability}
        score.set_result(Score.scored(probability, parts=parts))
        return score


def longer_wins(comparison: AnswerComparison) -> float:
    """1/4, 1/2 or 3/4."""
    first, second = len(comparison.first.text), len(comparison.second.text)
    return 0.5 + 0.25 * ((first > second) - (first < second))
