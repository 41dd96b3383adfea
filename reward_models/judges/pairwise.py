"""The pairwise generative reward model: which of two final answers is better, asked in both orders, served by vLLM.

Seed1.5-VL (2505.07062, section 4.2): the reward model is a VLM that classifies by generating an indicator token; asking
in both orders takes away the bias for a position. How the two are combined is not stated there: here, averaged.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from reward_models.answer_comparison import AnswerComparison
from reward_models.judges.served_choice import ServedChoice
from reward_models.reward_model import RewardModel, escape_control_tokens, without_asking
from reward_models.score import Score
from sampler.vllm_pool.pool import SamplerPool
from verifiers.errors import HoneError


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
        seed: int = 0,
    ) -> None:
        self.choice = ServedChoice(pool, indicator_ids, seed=seed)
        self.control_tokens = control_tokens

    def compare(self, comparisons: Sequence[AnswerComparison]) -> dict[str, Score]:
        """By comparison id the probability that ``first`` is the better answer, averaged over both orders.

        ``parts`` keeps the raw pair: ``as_first`` and ``as_second``, the probability of the same answer winning in
        either place. An answer that is not ok is never asked about: it loses. A comparison too long for the model, or a
        pool that cannot go on, is ``error``: no score, and never a low one.
        """
        started = time.perf_counter()
        scores = {one.comparison_id: without_asking(one) for one in comparisons}
        asked = {
            one.comparison_id: escape_control_tokens(one, self.control_tokens)
            for one in comparisons
            if scores[one.comparison_id] is None
        }
        try:
            first_wins = self.choice(
                [one.to_prompt() for each in asked.values() for one in _both_orders(each)]
            )
        except HoneError as why:
            failure = Score.failed(f"the reward model failed: {why}")
            return {name: failure if score is None else score for name, score in scores.items()}
        seconds = (time.perf_counter() - started) / max(1, len(asked))
        for name in asked:
            as_first, other_first = first_wins.get(f"{name}/12"), first_wins.get(f"{name}/21")
            if as_first is None or other_first is None:
                scores[name] = Score.failed(
                    "the comparison is too long for the reward model's sampler.max_model_len"
                )
                continue
            parts = {"as_first": as_first, "as_second": 1.0 - other_first}
            scores[name] = Score.scored(sum(parts.values()) / 2, parts=parts, seconds=seconds)
        return {name: score for name, score in scores.items() if score is not None}


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
