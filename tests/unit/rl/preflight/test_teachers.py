"""The preflight of distillation: teachers that are there, still to come or missing, and the self-test."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rl.data.batch import Batch
from rl.fakes import FakeSampler
from rl.preflight.check import Finding
from rl.preflight.teachers import check_teachers, check_teaching
from rl.recipe.recipe import Recipe
from rl.run.run_directory import RunDirectory
from rl.runner import PlannedStage
from sampler.prompt import Prompt
from sampler.rollout import SamplingPlan

PLAN = [
    PlannedStage(name, kind, name, "", (), False)
    for name, kind in (
        ("00-prepare", "prepare"),
        ("01-rl-r0", "rl"),
        ("02-distill-r0", "rl"),
        ("03-rl-r1", "rl"),
    )
]

PROMPTS = [
    Prompt.build(
        messages=[{"role": "user", "content": question}], verifier="math", reference="1", tags=(question,)
    )
    for question in ("sum", "count")
]


def recipe_of(**teachers: str) -> Recipe:
    return Recipe.model_validate(
        {"name": "x", "data": {"builder": "x:y"}, "distillation": {"teachers": teachers}}
    )


def found(checks: Any) -> list[Finding]:
    return [check.run() for check in checks]


def test_who_teaches_and_what_is_missing(hub: Path, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    assert not found(check_teachers(recipe_of(), hub, PROMPTS, PLAN, run))
    fine, taught = found(check_teachers(recipe_of(sum="01-rl-r0", all=str(hub)), hub, PROMPTS, PLAN, run))
    assert fine.outcome == "ok" and "sum: 01-rl-r0, still to come" in fine.summary
    assert f"all: {hub}" in fine.summary and "whole on each of 1 rank" in fine.summary
    assert (taught.outcome, taught.summary) == ("ok", "2 of 2 training prompts")
    for name in ("03-rl-r1", "nowhere"):  # one comes too late
        missing, _ = found(check_teachers(recipe_of(all=name), hub, PROMPTS, PLAN, run))
        assert missing.outcome == "failed" and f"{name} is neither a stage of this run" in missing.summary


def test_whom_nobody_teaches_is_told_before_the_run(hub: Path, tmp_path: Path) -> None:
    """Not after hours, when the stage begins."""
    run = RunDirectory(tmp_path)
    there, nobody = found(check_teachers(recipe_of(al=str(hub), sum=str(hub)), hub, PROMPTS, PLAN, run))
    assert there.outcome == "ok" and nobody.outcome == "failed"
    assert nobody.summary.startswith("nobody teaches on 1 training prompt (")
    _, odd = found(check_teachers(recipe_of(al=str(hub), all=str(hub)), hub, PROMPTS, PLAN, run))
    assert (
        odd.outcome == "warning"
        and "no training prompt is of the type or kind 'al'; did you mean 'all'?" in odd.summary
    )


def test_teachers_that_no_stage_asks_are_not_listed(hub: Path, tmp_path: Path) -> None:
    """The program hands its own on: the recipe's would only be a second line."""
    run = RunDirectory(tmp_path)
    handed = [
        replace(stage, inputs={"teachers": {"all": "01-rl-r0"}}) if "distill" in stage.name else stage
        for stage in PLAN
    ]
    for name in (str(hub), "nowhere"):
        (finding,) = found(check_teachers(recipe_of(all=name), hub, PROMPTS, handed, run))
        assert (
            finding.outcome == "warning" and "is not asked" in finding.summary and name not in finding.summary
        )
    both = [*handed, replace(PLAN[2], name="04-distill-r1")]
    finding, _ = found(check_teachers(recipe_of(all=str(hub)), hub, PROMPTS, both, run))
    assert finding.outcome == "ok" and f"all: {hub}" in finding.summary


class Logprobs:
    """Of each frozen policy: what it adds to the policy's log-probabilities, by its directory's name."""

    def __init__(self, added: dict[str, Callable[[float, int], np.ndarray]]) -> None:
        self.added = added

    def load_frozen(self, directories: Sequence[str]) -> None: ...

    def logprobs(self, batch: Batch, *, temperature: float = 1.0, of: Any = None) -> tuple[Any, None]:
        own = batch.column("sample_logprobs")
        return own + (self.added[Path(of[0]).name](temperature, len(own)) if of else 0), None


def noise(mean: float, spread: float = 0.5) -> Callable[[float, int], np.ndarray]:
    return lambda _, n: np.random.default_rng(0).normal(mean, spread, n).astype(np.float32)


def policy(temperature: float, n: int) -> np.ndarray:
    return noise(-0.1)(temperature, n) if temperature != 1.0 else np.zeros(n, np.float32)


@pytest.mark.parametrize(
    ("own", "teacher", "outcome", "words"),
    [
        (
            policy,
            noise(-0.2),
            "ok",
            "KL a token over .* tokens: 0 of the policy itself, 0.11 at twice.* 0.21 of teacher",
        ),
        (noise(0.0), noise(-0.2), "failed", "its own teacher finds advantages up to .*: they must be 0"),
        (policy, policy, "failed", "of teacher .*/teacher are all 0: it is the policy, and teaches nothing"),
        (policy, noise(0.2), "failed", "are 0.19 in the mean, and must not be above 0"),
    ],
)
def test_the_self_test(
    own: Any, teacher: Any, outcome: str, words: str, prompt: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "teacher").mkdir()
    engines: Any = SimpleNamespace(
        base=SimpleNamespace(hub=tmp_path / "own"),
        sampler=FakeSampler(),
        trainer=Logprobs({"own": own, "teacher": teacher}),
        plan=lambda **settings: SamplingPlan(run_seed=1, **settings),
    )
    prompts = [prompt(f"p{index}") for index in range(8)]
    recipe, run = recipe_of(sum="01-rl-r0", all=str(tmp_path / "teacher")), RunDirectory(tmp_path)
    (result,) = found(check_teaching(recipe, engines, prompts, PLAN, run))
    assert result.outcome == outcome
    assert re.search(words, result.summary), result.summary
    assert not found(check_teaching(recipe_of(), engines, prompts, PLAN[:2], run))
