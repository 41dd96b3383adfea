"""General prompts beside verifiable ones: the reward model sees final answers only; its failure is no low reward."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

import pytest

from reward_models.answer_comparison import AnswerComparison
from reward_models.score import Score
from reward_models.scoring_service import ScoringService
from rl.algorithm.algorithm import Algorithm
from rl.experience.judge import Judge
from rl.recipe.judging_config import JudgingConfig
from rl.recipe.rl_config import RlConfig
from sampler.rollout import RolloutGroup
from verifiers.answer import FinalAnswer
from verifiers.errors import BadInput, HoneError


def general(prompt: Callable[..., Any], name: str, reference: str = "two digits") -> Any:
    return replace(prompt(name), kind="general", verifier=None, reference=reference)


class Model:
    """Prefers answers that say `good`; fails on `break`."""

    def __init__(self) -> None:
        self.seen: list[AnswerComparison] = []

    def compare(self, comparisons: Sequence[AnswerComparison]) -> dict[str, Score]:
        self.seen += comparisons
        if any(one.first.text == "raise" for one in comparisons):
            raise OSError("the endpoint is gone")
        return {
            one.comparison_id: Score.failed("garbage")
            if one.first.text == "break"
            else Score.scored(0.9 if "good" in one.first.text else 0.2)
            for one in comparisons
        }


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def judge(model: Model) -> Any:
    with ScoringService(model.compare) as scorer, Judge(JudgingConfig(), scorer=scorer) as running:
        yield running


def test_each_kind_has_its_judge_and_the_thought_reaches_none(
    judge: Judge, model: Model, prompt: Callable[..., Any], rollout: Callable[..., Any]
) -> None:
    asked, broken, counted = general(prompt, "g"), general(prompt, "h"), prompt("v", reference="9")
    batch = judge.judge(
        [
            RolloutGroup(asked, (rollout(asked, 0, "<think>secret</think>good"),)),
            RolloutGroup(counted, (rollout(counted, 0, "<think>secret</think>9"),)),
            RolloutGroup(broken, (rollout(broken, 0, "no thought"),)),
        ]
    )
    rewards = {one.prompt.prompt_id: one.reward for one in batch.rollouts}
    assert (rewards["g"].value, rewards["v"].value, rewards["h"].value) == (0.9, 1.0, 0.0)
    assert rewards["g"].score is not None and rewards["g"].verdict is None
    assert rewards["v"].score is None and rewards["v"].verdict is not None
    (seen,) = model.seen  # a broken format is not asked about
    assert (seen.first, seen.second) == (FinalAnswer("good"), FinalAnswer("two digits"))
    assert "secret" not in repr(seen.to_prompt().messages)


def test_no_field_could_carry_a_thought() -> None:
    types = {field.name: field.type for field in fields(AnswerComparison)}
    assert types == {
        "comparison_id": "str",
        "prompt": "Prompt",
        "first": "FinalAnswer",
        "second": "FinalAnswer",
        "against_reference": "bool",
    }
    assert list(inspect.signature(ScoringService.submit).parameters) == ["self", "comparison"]


@pytest.mark.parametrize("answer", ["break", "raise"])
def test_a_failure_is_no_low_reward(
    judge: Judge, prompt: Callable[..., Any], rollout: Callable[..., Any], answer: str
) -> None:
    asked = general(prompt, "g")
    groups = [RolloutGroup(asked, (rollout(asked, 0, f"<think>.</think>{answer}"),))]
    (one,) = judge.judge(groups).rollouts
    assert one.reward.value is None
    with pytest.raises(
        HoneError, match=r"rl-0-g-0 \(reward model: (garbage|the reward model raised OSError)"
    ):
        judge.require_judged([one])


def test_what_cannot_be_judged_is_said_before_the_run(judge: Judge, prompt: Callable[..., Any]) -> None:
    judge.check([prompt("v"), general(prompt, "g")])
    with pytest.raises(BadInput, match="has no reference for the reward model"):
        judge.check([general(prompt, "g", reference="")])
    with Judge(JudgingConfig()) as without, pytest.raises(BadInput, match="names no reward model"):
        without.check([general(prompt, "g")])


def test_a_group_baseline_refuses_single_samples(prompt: Callable[..., Any]) -> None:
    prompts = [prompt("v"), general(prompt, "g")]
    with pytest.raises(BadInput, match=r"general prompts \(g is the first\) have a single one"):
        Algorithm(RlConfig()).check(prompts)
    Algorithm(RlConfig(advantage="decoupled_gae")).check(prompts)
    Algorithm(RlConfig(samples_per_general_prompt=4)).check(prompts)
    Algorithm(RlConfig()).check(prompts[:1])


def test_a_closed_service_gives_errors(model: Model, prompt: Callable[..., Any]) -> None:
    service = ScoringService(model.compare)
    one = AnswerComparison("c", prompt("p"), FinalAnswer("good"), FinalAnswer("x"))
    assert service.submit(one).result(10).probability == 0.9
    service.close()
    service.close()
    assert service.submit(one).result(10).status == "error"


def test_batches_grow_while_the_model_is_busy(prompt: Callable[..., Any]) -> None:
    import threading

    go, sizes = threading.Event(), []

    def compare(comparisons: Sequence[AnswerComparison]) -> dict[str, Score]:
        sizes.append(len(comparisons))
        go.wait(10)
        return {one.comparison_id: Score.scored(0.5) for one in comparisons}

    with ScoringService(compare, max_batch=8) as service:
        one = AnswerComparison("same id", prompt("p"), FinalAnswer("a"), FinalAnswer("b"))
        futures = [service.submit(one)]
        while not sizes:
            pass
        futures += [service.submit(one) for _ in range(20)]
        go.set()
        assert [future.result(10).probability for future in futures] == [0.5] * 21
    assert sizes == [1, 8, 8, 4]
