"""Preflight of hybrid RL: each fault is found, and named with what to change."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reward_models.score import Score
from rl.data.run_data import RunData
from rl.preflight.check import Check, Finding
from rl.preflight.judging import POSITION_BIAS, check_judges, check_trained, position_bias, same_source
from rl.recipe.recipe import Recipe
from rl.run.run_directory import RunDirectory
from sampler.prompt import Prompt

REWARD_MODEL = {"path": "rm"}


def recipe(**sections: Any) -> Recipe:
    return Recipe.model_validate({"name": "x", "data": {"builder": "a:b"}, **sections})


@pytest.fixture
def general(prompt: Callable[..., Any]) -> Callable[..., Any]:
    return lambda name, reference="ok": replace(
        prompt(name), kind="general", verifier=None, reference=reference
    )


def outcomes(checks: Iterable[Check]) -> dict[str, Finding]:
    return {check.name: check.run() for check in checks}


def data(prompts: Sequence[Prompt]) -> RunData:
    return RunData(prompts, [], [], locations={"train": {"h": "train.jsonl, line 3"}})


def test_a_prompt_without_judge_or_reference_is_found(
    general: Callable[..., Any], prompt: Callable[..., Any]
) -> None:
    check = "every prompt has a judge"
    prompts = [prompt("v"), general("g")]
    none = outcomes(check_judges(recipe(), data(prompts)))[check]
    assert none.outcome == "failed" and "judging.reward_model is not set" in none.summary
    with_model = recipe(judging={"reward_model": REWARD_MODEL})
    bare = outcomes(check_judges(with_model, data([*prompts, general("h", "")])))[check]
    assert bare.outcome == "failed"
    assert bare.summary == "1 general prompt without a reference to compare with: train.jsonl, line 3"
    taught = recipe(distillation={"teachers": {"all": "a"}})
    alone = outcomes(check_judges(taught, data(prompts)))[check]
    assert alone.outcome == "warning" and alone.summary.startswith(
        "only distillation can learn from 1 prompt"
    )
    fine = outcomes(check_judges(with_model, data(prompts)))[check]
    assert (fine.outcome, fine.summary) == ("ok", "1 by a verifier, 1 by the reward model")


def test_preferences_and_prompts_of_different_origin_are_named() -> None:
    files = {"train": "a.jsonl", "heldout": "b.jsonl"}
    prompts = {f"{name}_prompts": path for name, path in files.items()}

    def found(data: dict[str, str], preferences: dict[str, str]) -> Finding:
        judge = {"path": None, "training": {"data": preferences}}
        return same_source(recipe(data=data, judging={"reward_model": judge}))

    built = found({**prompts, "builder": "a:b"}, {"builder": "c:d"})
    assert built.outcome == "warning"
    assert built.summary == (
        "the reward model learns from other data: prompts come from files, preferences from c:d; "
        "set judging.reward_model.training.data"
    )
    assert "prompts come from a:b, preferences from files" in found({"builder": "a:b"}, files).summary
    assert found(prompts, files).outcome == found({"builder": "a:b"}, {"builder": "c:d"}).outcome == "ok"


def test_weights_and_penalties_move_the_scale(prompt: Callable[..., Any]) -> None:
    check = "rewards are in [0, 1]"
    assert outcomes(check_judges(recipe(), data([prompt("v")])))[check].outcome == "ok"
    for rl in ({"reward_weights": {"string": 2.0}}, {"unparseable_penalty": 0.5}):
        found = outcomes(check_judges(recipe(rl=rl), data([prompt("v")])))[check]
        assert found.outcome == "warning" and "string" in found.summary


def test_a_verifier_that_waits_as_long_as_its_service_is_told(prompt: Callable[..., Any]) -> None:
    check = "verifiers end within their time"
    code = replace(prompt("v"), verifier="code", verifier_options={"timeout_s": 6})
    assert outcomes(check_judges(recipe(), data([prompt("v")])))[check].outcome == "ok"
    assert outcomes(check_judges(recipe(judging={"timeout_s": 7}), data([code])))[check].outcome == "ok"
    found = outcomes(check_judges(recipe(), data([code])))[check]
    assert found.outcome == "failed" and "6 s by its own timeout_s" in found.summary


REPORT = {"num_pairs": 100, "num_failed": 0, **dict.fromkeys(("accuracy", "order_gap_mean", "ece", "brier"))}


@pytest.fixture
def run_of(tmp_path: Path) -> Callable[..., RunDirectory]:
    """A run whose stages of these kinds left these results."""

    def make(*results: tuple[str, dict[str, Any]]) -> RunDirectory:
        run = tmp_path / f"run-{len(list(tmp_path.iterdir()))}"
        run.mkdir()
        for number, (kind, result) in enumerate(results):
            stage = run / "stages" / f"{number:02d}-{kind}-r0"
            stage.mkdir(parents=True)
            (stage / "manifest.json").write_text(json.dumps({"kind": kind, "result": result}))
        return RunDirectory(run)

    return make


def test_what_a_run_has_trained(run_of: Callable[..., RunDirectory]) -> None:
    hybrid = recipe(
        judging={"reward_model": {**REWARD_MODEL, "max_position_bias_frac": 0.05}},
        rl={"advantage": "decoupled_gae"},
        critic={"min_explained_variance": 0.1},
    )
    bias, critic = "reward model's position bias", "critic after value pre-training"
    report = {**REPORT, "position_bias_frac": 0.04}
    good = outcomes(
        check_trained(
            hybrid,
            run_of(
                ("reward-model", {"report": report}), ("critic", {"critic": "x", "explained_variance": 0.3})
            ),
        )
    )
    assert (good[bias].outcome, good[critic].outcome) == ("ok", "ok")
    bad = outcomes(
        check_trained(
            hybrid,
            run_of(
                ("reward-model", {"report": {**report, "position_bias_frac": 0.2}}),
                ("critic", {"critic": "x", "explained_variance": 0.05}),
            ),
        )
    )
    assert (bad[bias].outcome, bad[critic].outcome) == ("failed", "failed")
    assert "20.0%" in bad[bias].summary and "critic.pretrain_steps" in bad[critic].summary
    assert outcomes(check_trained(hybrid, run_of()))[critic].outcome == "ok"
    blind = hybrid.model_copy(update={"critic": hybrid.critic.model_copy(update={"pretrain_steps": 0})})
    assert outcomes(check_trained(blind, run_of()))[critic].outcome == "warning"
    assert not list(check_trained(recipe(), run_of()))  # GRPO has no critic


@pytest.mark.parametrize(("second", "outcome"), [(0.8, "ok"), (0.1, "failed")])
def test_references_are_compared_in_both_orders(
    general: Callable[..., Any], second: float, outcome: str
) -> None:
    parts = {"as_first": 0.9, "as_second": second}
    engines = SimpleNamespace(
        judge=SimpleNamespace(compare=lambda asked: [Score.scored(0.5, parts=parts) for _ in asked])
    )
    found = position_bias(
        recipe(judging={"reward_model": REWARD_MODEL}), engines, [general(f"g{i}", f"r{i}") for i in range(5)]
    )
    assert found.outcome == outcome and "4 pairs" in found.summary


def test_a_judge_that_never_answers_is_found(general: Callable[..., Any]) -> None:
    engines = SimpleNamespace(
        judge=SimpleNamespace(compare=lambda asked: [Score.failed("connection refused") for _ in asked])
    )
    found = position_bias(
        recipe(judging={"reward_model": REWARD_MODEL}), engines, [general(f"g{i}", f"r{i}") for i in range(5)]
    )
    assert (found.outcome, "connection refused" in found.summary) == ("failed", True)


def test_a_scalar_model_has_no_bias_to_limit(
    general: Callable[..., Any], run_of: Callable[..., RunDirectory]
) -> None:
    hybrid = recipe(judging={"reward_model": {**REWARD_MODEL, "max_position_bias_frac": 0.0}})
    scores = Score.scored(0.7, parts={"score": 1.0, "reference_score": 0.2})
    engines: Any = SimpleNamespace(judge=SimpleNamespace(compare=lambda asked: [scores for _ in asked]))
    found = position_bias(hybrid, engines, [general(f"g{i}", f"r{i}") for i in range(5)])
    trained = run_of(("reward-model", {"report": {**REPORT, "position_bias_frac": None}}))
    for finding in (found, outcomes(check_trained(hybrid, trained))[POSITION_BIAS]):
        assert finding.outcome == "ok" and "one answer at a time" in finding.summary
