"""A hybrid program whose judge goes by a rubric, on fake engines: what it learns from, and what its parts reach."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from recipes.digits.hybrid import truths
from recipes.settings.recipe_file import load_recipe
from reward_models.judges.rubric_judge import RubricJudge, ServedAsker
from reward_models.preferences.preference import load_preferences
from reward_models.rubric import load_rubric
from reward_models.scoring_service import ScoringService
from rl.data.preference_pairs import criterion_rows, rubric_of
from rl.fakes import FakeSampler, fake_engines
from rl.program import rounds, run_program
from rl.recipe.recipe import Recipe
from rl.run.progress import ProgressDisplay
from rl.run.results.evaluation_result import EvaluationResult
from rl.run.results.manifest import results_of
from rl.run.results.stage_result import RewardModelResult
from rl.run.run_directory import RunDirectory
from sampler.prompt import Prompt
from sampler.rollout import Rollout, SamplingPlan

RECIPE = Path(__file__).parents[2] / "data" / "tiny_rubric.yaml"
OVERRIDES = [
    "data.builder=recipes.digits.hybrid:build_hybrid",
    "judging.reward_model.training.data.builder=recipes.digits.hybrid:build_description_preferences",
    "rl.max_response_tokens=64",
    "sampler.max_model_len=160",
]


class Reader(FakeSampler):
    """A judge's workers: sure to 0.9 that whoever counts says how many, and that everything is so."""

    def _rollout(self, prompt: Prompt, plan: SamplingPlan, index: int) -> Rollout:
        met = "so." in prompt.text or " digits:" in _answer(prompt.text)
        whole = super()._rollout(replace(prompt, prompt_id="x"), plan, index)
        turn = replace(
            whole.turns[0],
            response_token_ids=np.array([ord("1") if met else ord("0")], np.int32),
            sample_logprobs=np.array([np.log(0.9)], np.float32),
            policy_versions=((0, 1),),
        )
        return replace(whole, prompt_id=prompt.prompt_id, turns=(turn,), text="1" if met else "0")


def _answer(asked: str) -> str:
    return asked.partition("Response: ")[2].partition("\n")[0]


def describes(prompt: Prompt, seed: int) -> str:
    return f"<think>x</think>{prompt.reference_text}" if seed % 3 else "<think>x</think>two digits: top left."


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return load_recipe(str(RECIPE), OVERRIDES)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, recipe: Recipe) -> Iterator[RunDirectory]:
    run = RunDirectory(tmp_path_factory.mktemp("rubric") / "run")
    pool: Any = Reader()
    judge = RubricJudge(ServedAsker(pool, (ord("1"), ord("0"))), rubric_of(recipe))
    with ScoringService(judge.compare) as scorer:
        engines = fake_engines(sampler=FakeSampler(describes), scorer=scorer)
        display = ProgressDisplay(Console(quiet=True), live=False)
        run_program(recipe, run, display, rounds, make_engines=engines)
        yield run


def test_it_learns_from_every_criterion_whose_truth_is_known(run: RunDirectory, recipe: Recipe) -> None:
    lists = load_preferences(run.path / "stages" / "00-prepare" / "preferences" / "train.parquet")
    rows = criterion_rows(lists, rubric_of(recipe))
    expected = [
        (answer.text, name, "1" if truths(answer.text, int(one.prompt.tags[1]))[name] else "0")
        for one in lists
        for answer in one.answers
        for name in ("true", "counts")  # of `alike` nothing is known
    ]
    found = [(_answer(row.prompt.text), row.prompt.prompt_id.split("/")[1], row.response) for row in rows]
    assert found == expected and {row.response for row in rows} == {"0", "1"}
    assert all(len(row.prompt.images) == (row.prompt.prompt_id.split("/")[1] == "true") for row in rows)


def test_its_agreement_is_reported_and_its_criteria_kept(run: RunDirectory, recipe: Recipe) -> None:
    (result,) = (one for one in results_of(run.path) if isinstance(one, RewardModelResult))
    lists = load_preferences(run.path / "stages" / "00-prepare" / "preferences" / "heldout.parquet")
    known = [met for one in lists for met in one.met]
    right = sum(met["true"] for met in known) + len(known)  # it says that all is so, and sees who counts
    assert result.criteria_right_frac == pytest.approx(right / (2 * len(known)))
    assert result.report is not None and result.report.one_at_a_time and result.report.num_failed == 0
    assert result.model is not None and load_rubric(result.model) == rubric_of(recipe)


def test_rewards_are_made_of_parts_that_reach_log_metrics_and_report(run: RunDirectory) -> None:
    (shards,) = ([*path.glob("*.parquet")] for path in run.path.glob("rollouts/*-rl-r0"))
    rows = [
        row
        for shard in shards
        for row in pq.read_table(shard).to_pylist()
        if row["kind"] == "general" and row["answer_status"] == "ok"
    ]
    assert rows
    for row in rows:
        parts = json.loads(row["score_parts"])
        assert parts["rubric/true"] == pytest.approx(0.9)
        assert parts["rubric/counts"] == pytest.approx(0.9 if " digits:" in row["answer"] else 0.1)
        assert row["reward"] == pytest.approx((parts["rubric/counts"] + parts["rubric/alike"]) / 2)
    assert len({row["reward"] for row in rows}) > 1
    for line in run.metrics.of_stage("06-rl-r0"):
        assert line["rubric/true_met_mean"] == pytest.approx(0.9)
    evaluations = [one for one in results_of(run.path) if isinstance(one, EvaluationResult)]
    assert "against_previous" in evaluations[-1].general
