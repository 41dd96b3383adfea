"""The pairwise reward model on real vLLM workers: its probabilities are transformers', and a dead worker costs none."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from reward_models.answer_comparison import AnswerComparison, indicator_token_ids
from reward_models.judges.pairwise import PairwiseRewardModel, best_of
from reward_models.scoring_service import ScoringService
from sampler.prompt import Prompt
from sampler.vllm_pool.pool import SamplerPool
from verifiers.answer import FinalAnswer


@pytest.fixture(scope="module")
def model(pool: SamplerPool, tiny_model: Path) -> PairwiseRewardModel:
    from transformers import AutoTokenizer

    return PairwiseRewardModel(pool, indicator_token_ids(AutoTokenizer.from_pretrained(tiny_model)))


@pytest.fixture(scope="module")
def comparisons(prompts: list[Prompt]) -> list[AnswerComparison]:
    return [
        AnswerComparison(f"c{i}", prompt, FinalAnswer(rf"\boxed{{{i}}}"), FinalAnswer(f"it is {i + 1}"))
        for i, prompt in enumerate(prompts[:12])
    ]


@pytest.fixture(scope="module")
def by_transformers(
    model: PairwiseRewardModel, tiny_model: Path, in_float64: Any
) -> Callable[[AnswerComparison], float]:
    """P(first indicator) among the two."""

    def probability(comparison: AnswerComparison) -> float:
        reference, inputs = in_float64(tiny_model, comparison.to_prompt())
        with torch.no_grad():
            logits = reference(**inputs).logits[0, -1, list(model.choice.token_ids)]
        return float(torch.softmax(logits, dim=-1)[0])

    return probability


def test_probabilities_are_those_of_transformers(
    model: PairwiseRewardModel, by_transformers: Any, comparisons: list[AnswerComparison]
) -> None:
    scores = model.compare(comparisons)
    assert list(scores) == [one.comparison_id for one in comparisons]
    for one in comparisons[:4]:  # pictures of two sizes, two pictures with a video, a video
        first = by_transformers(one)
        second = 1.0 - by_transformers(one.swapped())
        score = scores[one.comparison_id]
        assert score.parts["as_first"] == pytest.approx(first, abs=1e-5)
        assert score.parts["as_second"] == pytest.approx(second, abs=1e-5)
        assert score.probability == pytest.approx((first + second) / 2, abs=1e-5)


def test_order_and_company_change_nothing(
    model: PairwiseRewardModel, comparisons: list[AnswerComparison]
) -> None:
    scores = model.compare(comparisons)
    again = model.compare(list(reversed(comparisons)))
    swapped = model.compare([one.swapped() for one in comparisons])
    for name, score in scores.items():
        assert again[name].probability == pytest.approx(score.probability, abs=1e-6)
        assert swapped[name].probability == pytest.approx(1.0 - (score.probability or 0.0), abs=1e-6)


def test_unsound_answers_and_what_is_too_long(model: PairwiseRewardModel, prompts: list[Prompt]) -> None:
    sound, cut = FinalAnswer("fine"), FinalAnswer("", "truncated")
    long = FinalAnswer("very " * 2000)
    scores = model.compare(
        [
            AnswerComparison("loses", prompts[0], cut, sound),
            AnswerComparison("wins", prompts[0], sound, cut),
            AnswerComparison("long", prompts[0], long, sound),
        ]
    )
    assert (scores["loses"].probability, scores["wins"].probability) == (0.0, 1.0)
    assert scores["long"].status == "error" and scores["long"].probability is None


def test_a_worker_killed_while_scoring_costs_no_score(
    model: PairwiseRewardModel, pool: SamplerPool, prompts: list[Prompt]
) -> None:
    with ScoringService(model.compare, max_batch=64) as service:
        futures = [
            service.submit(AnswerComparison(f"r{i}", prompt, FinalAnswer(f"a{i}"), FinalAnswer("b")))
            for i, prompt in enumerate(prompts)
        ]
        os.kill(pool.worker_infos[0].pid, signal.SIGKILL)
        scores = [future.result(300) for future in futures]
    assert all(score.status == "scored" for score in scores), [
        s.reason for s in scores if s.status != "scored"
    ]
    pool.wait_until_ready()


def test_more_tokens_than_one_pass_holds(model: PairwiseRewardModel, prompts: list[Prompt]) -> None:
    """vLLM on CPU fails where a prompt is read in two passes and has a seed of its own: no prompt may be cut."""
    long = FinalAnswer("nine " * 12)
    scores = model.compare(
        [AnswerComparison(f"l{i}", one, long, FinalAnswer("8")) for i, one in enumerate(prompts)]
    )
    assert len(scores) == len(prompts)
    assert all(score.status == "scored" for score in scores.values())


def test_best_of(model: PairwiseRewardModel, prompts: list[Prompt]) -> None:
    answers = [FinalAnswer(text) for text in ("one", "two", "three")]
    pairs = [
        AnswerComparison(f"{i}-{j}", prompts[0], answers[i], answers[j])
        for i in range(3)
        for j in range(i + 1, 3)
    ]
    ranked = best_of(model, pairs)
    assert set(ranked) == {"one", "two", "three"}
    assert sum(ranked.values()) == pytest.approx(1.5)
