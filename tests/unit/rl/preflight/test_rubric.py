"""Preflight of a judge by rubric: what is missing is named, and what sways the judge is found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from reward_models.answer_comparison import AnswerComparison
from reward_models.judges.rubric_judge import RubricJudge
from reward_models.rubric import CriterionQuery
from reward_models.score import Score
from rl.data.run_data import RunData
from rl.preflight.judging import check_judges
from rl.preflight.rubric import asked_of, check_probes
from rl.preflight.token_limits import reads_one_answer
from rl.recipe.recipe import Recipe
from sampler.prompt import Prompt

SEES = ["question", "answer", "reference"]


def recipe(*criteria: dict[str, Any]) -> Recipe:
    rubric = {"criteria": {"general": list(criteria)} if criteria else {}}
    judging = {"reward_model": {"path": "rm", "rubric": rubric, "sampler": {"max_model_len": 512}}}
    return Recipe.model_validate({"name": "x", "data": {"builder": "a:b"}, "judging": judging})


GOOD = {"name": "good", "text": "It is good."}
ALIKE = {"name": "alike", "text": "It is as the reference.", "sees": SEES}


@pytest.fixture
def general(prompt: Callable[..., Any]) -> list[Prompt]:
    return [
        replace(prompt(f"g{i}"), kind="general", verifier=None, reference=text, tags=())
        for i, text in enumerate(("one", "two", "three"))
    ]


def every_prompt(made: Recipe, prompts: Sequence[Prompt]) -> Any:
    data = RunData(prompts, [], [], locations={"train": {"g0": "train.jsonl, line 1"}})
    return next(check for check in check_judges(made, data) if check.name == "every prompt has a judge").run()


def test_prompts_without_criteria_or_what_these_see_are_named(general: list[Prompt]) -> None:
    none = every_prompt(recipe(), general)
    assert none.outcome == "failed" and "3 general prompts" in none.summary and "line 1" in none.summary
    assert every_prompt(recipe(GOOD), [replace(general[0], reference="")]).outcome == "ok"
    bare = every_prompt(recipe(ALIKE), [replace(general[0], reference=""), general[1]])
    assert bare.outcome == "failed" and "no reference, which criterion 'alike' sees" in bare.summary


class Asker:
    def __init__(self, reply: Callable[[CriterionQuery], Score]) -> None:
        self.reply = reply

    def met(self, queries: Sequence[CriterionQuery]) -> dict[str, Score]:
        return {one.query_id: self.reply(one) for one in queries}


def probes(
    made: Recipe, prompts: Sequence[Prompt], reply: Callable[[CriterionQuery], Score]
) -> dict[str, Any]:
    config = made.judging.reward_model
    assert config is not None and config.rubric is not None
    judge = RubricJudge(Asker(reply), config.rubric.rubric)

    def compare(comparisons: Sequence[AnswerComparison]) -> list[Score]:
        scores = judge.compare(comparisons)
        return [scores[one.comparison_id] for one in comparisons]

    engines: Any = SimpleNamespace(judge=SimpleNamespace(compare=compare))
    return {check.name.split()[-2]: check.run() for check in check_probes(config, engines, prompts)}


def test_a_fair_judge_passes(general: list[Prompt]) -> None:
    fair = probes(recipe(GOOD, ALIKE), general, lambda one: Score.scored(float(one.answer == one.reference)))
    assert [one.outcome for one in fair.values()] == ["ok", "ok"]
    assert "0.0%" in fair["position"].summary


def test_a_judge_that_goes_by_order_or_by_length_is_found(general: list[Prompt]) -> None:
    by_order = probes(recipe(ALIKE), general, lambda one: Score.scored(float(one.reference_first)))
    assert (
        by_order["position"].outcome == "failed" and "max_position_bias_frac" in by_order["position"].summary
    )
    assert by_order["verbosity"].outcome == "ok"
    by_length = probes(recipe(GOOD), general, lambda one: Score.scored(min(1.0, len(one.answer) / 12)))
    assert (
        by_length["verbosity"].outcome == "failed" and "max_verbosity_gain" in by_length["verbosity"].summary
    )
    assert (
        by_length["position"].outcome == "ok"
        and "no criterion sees the reference" in by_length["position"].summary
    )


def test_a_judge_that_fails_is_no_fair_one(general: list[Prompt]) -> None:
    found = probes(recipe(ALIKE), general, lambda one: Score.failed("connection refused"))
    assert all(one.outcome == "failed" and "connection refused" in one.summary for one in found.values())


def test_room_for_its_questions(general: list[Prompt]) -> None:
    assert reads_one_answer(recipe(GOOD)) and not reads_one_answer(recipe(GOOD, ALIKE))
    config = recipe(GOOD, ALIKE).judging.reward_model
    assert config is not None and config.rubric is not None
    asked = asked_of(config.rubric.rubric, general)
    assert len(asked) == 6 and sum("Reference: three" in one.text for one in asked) == 1
