"""Win rates: ties count half, broken formats lose, failed scores are left out; answers are joined sample by sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from reward_models.score import Score
from rl.experience.exams.evaluation import against_answers, evaluate, win_rate
from rl.experience.judge import Reward
from rl.experience.rollout_log import read_answers, write_rollouts
from rl.run.results.evaluation_result import EvaluationResult
from verifiers.answer import FinalAnswer


def test_by_hand() -> None:
    scores = [Score.scored(0.9), Score.scored(0.5), Score.scored(0.2), None, Score.failed("gone")]
    assert win_rate(scores) == {
        "win_rate": pytest.approx((1 + 0.5 + 0 + 0) / 4),
        "win_probability": pytest.approx((0.9 + 0.5 + 0.2 + 0) / 4),
        "num_comparisons": 4,
        "num_failed": 1,
    }


def test_nothing_compared_has_no_rate() -> None:
    assert win_rate([]) == {
        "win_rate": None,
        "win_probability": None,
        "num_comparisons": 0,
        "num_failed": 0,
    }
    assert win_rate([Score.failed("gone")])["win_rate"] is None


@pytest.fixture
def general(prompt: Callable[..., Any]) -> Callable[[str], Any]:
    return lambda name: replace(prompt(name), kind="general", verifier=None, reference="two digits")


def test_answers_meet_those_of_the_same_prompt_and_sample(
    general: Callable[[str], Any], prompt: Callable[..., Any], judged: Callable[..., Any], tmp_path: Any
) -> None:
    asked, ruled = general("g"), prompt("v")
    before = [
        replace(judged(asked, index, 0.0), answer=FinalAnswer(f"old {index}", status))
        for index, status in ((0, "ok"), (1, "truncated"))
    ]
    write_rollouts(tmp_path, [*before, judged(ruled, 0, 1.0)], stage="01-evaluate-r0", round_index=0, step=0)
    now = [replace(judged(asked, i, 0.0), answer=FinalAnswer(f"new {i}")) for i in range(3)]
    comparisons = against_answers([*now, judged(ruled, 0, 1.0)], read_answers(tmp_path))
    assert [(one.first.text, one.second) for one in comparisons] == [
        ("new 0", FinalAnswer("old 0")),
        ("new 1", FinalAnswer("old 1", "truncated")),
    ]
    assert len({one.comparison_id for one in comparisons}) == 2


def test_an_evaluation_keeps_the_kinds_apart(
    general: Callable[[str], Any], prompt: Callable[..., Any], judged: Callable[..., Any]
) -> None:
    asked, ruled = general("g"), prompt("v")
    compared = replace(judged(asked, 0, 0.0), reward=Reward(0.8, None, score=Score.scored(0.8)))
    broken = replace(judged(asked, 1, 0.0, status="malformed"), reward=Reward(0.0, None))
    got = evaluate([compared, broken, judged(ruled, 0, 0.0)], pass_at=(1,), pass_score=0.5)
    assert (got["num_prompts"], got["pass_at_1"]) == (1, 0.0)
    assert got["general"]["num_prompts"] == 1
    assert got["general"]["against_reference"]["win_rate"] == 0.5
    assert EvaluationResult(**got).gate_figure == 0.0
    only_compared = evaluate([compared], pass_at=(1,), pass_score=0.5)
    assert EvaluationResult(**only_compared).gate_figure == 1.0
