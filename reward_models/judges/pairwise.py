"""The pairwise generative reward model: which of two final answers is better, asked in both orders, served by vLLM.

Seed1.5-VL (2505.07062, section 4.2): the reward model is a VLM that classifies by generating an indicator token; asking
in both orders takes away the bias for a position. How the two are combined is not stated there: here, averaged.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from reward_models.answer_comparison import AnswerComparison
from reward_models.judges.served_choice import ServedChoice
from reward_models.reward_model import RewardModel, compared
from reward_models.score import Score
from sampler.vllm_pool.pool import SamplerPool


class PairwiseRewardModel:
    """Asks a pool of vLLM workers that hold the reward model's weights. Used from one thread, as the pool is.

    Only the two indicator tokens can be sampled. The two orders of a comparison share pictures and question, which the
    prefix cache keeps.
    """

    def __init__(
        self,
        pool: SamplerPool,
        indicator_ids: tuple[int, int],
        *,
        control_tokens: Sequence[str] = (),
    ) -> None:
        self.choice = ServedChoice(pool, indicator_ids)
        self.control_tokens = control_tokens

    def compare(self, comparisons: Sequence[AnswerComparison]) -> dict[str, Score]:
        """By comparison id the probability that ``first`` is the better answer, averaged over both orders.

        ``parts`` keeps the raw pair: ``as_first`` and ``as_second``, the probability of the same answer winning in
        either place. An answer that is not ok is never asked about: it loses. A comparison too long for the model, or a
        pool that cannot go on, is ``error``: no score, and never a low one.
        """
        return compared(comparisons, self.control_tokens, self._ask)

    def _ask(self, asked: Sequence[AnswerComparison]) -> dict[str, Score]:
        started = time.perf_counter()
        first_wins = self.choice([one.to_prompt() for each in asked for one in _both_orders(each)])
        seconds = (time.perf_counter() - started) / max(1, len(asked))
        return {one.comparison_id: _averaged(one.comparison_id, first_wins, seconds) for one in asked}


def _averaged(name: str, first_wins: Mapping[str, float], seconds: float) -> Score:
    """Over the two orders of a comparison."""
    as_first, other_first = first_wins.get(f"{name}/12"), first_wins.get(f"{name}/21")
    if as_first is None or other_first is None:
        return Score.failed("the comparison is too long for the reward model's sampler.max_model_len")
    parts = {"as_first": as_first, "as_second": 1.0 - other_first}
    return Score.scored(sum(parts.values()) / 2, parts=parts, seconds=seconds)


def best_of(model: RewardModel, candidates: Sequence[AnswerComparison]) -> dict[str, float]:
    """Listwise: by the text of each answer its mean probability of winning over all comparisons it stands in.

    ``candidates`` are the pairs of one prompt's answers; comparisons without a score are left out.
    """
    won: dict[str, list[float]] = {}
    scores = model.compare(candidates)
    for one in candidates:
        probability = scores[one.comparison_id].probability
        if probability is not None:
            won.setdefault(one.first.text, []).append(probability)
            won.setdefault(one.second.text, []).append(1.0 - probability)
    return {text: sum(values) / len(values) for text, values in won.items()}


def _both_orders(comparison: AnswerComparison) -> tuple[AnswerComparison, AnswerComparison]:
    name = comparison.comparison_id
    first = AnswerComparison(f"{name}/12", comparison.prompt, comparison.first, comparison.second)
    return first, AnswerComparison(f"{name}/21", comparison.prompt, comparison.second, comparison.first)
