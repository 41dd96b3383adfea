"""RL and value pre-training on engines that compute nothing: order of calls, NaN, the clock, going on after a kill."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rl.algorithm.losses import VALUE_LOSS
from rl.recipe.recipe import Recipe
from rl.run.policy_state import PolicyState
from rl.run.run_directory import RunDirectory
from rl.run.stage_result import Proof
from rl.stages.critic import CriticStage
from rl.stages.rl import RlStage
from rl.stages.stage import StageContext
from sampler.rollout import SamplingPlan
from verifiers.errors import HoneError


class Engines:
    """Sampler and judge by the prompts' names, a trainer that counts calls; ``fails`` names a loss that is NaN."""

    def __init__(self, sampler: Any, judge: Any) -> None:
        self.calls: list[str] = []
        self.fails: str | None = None
        self.sampler, self.judge = sampler, judge
        judge.check = lambda prompts: None
        self.trainer = self.weight_sync = self
        self.base = PolicyState(0, Path("base"), "00-prepare")

    def plan(self, *, seed: int, **settings: Any) -> SamplingPlan:
        return SamplingPlan(run_seed=seed, step=0, **settings)

    def hold(self, batch: Any, steps: Any) -> Any:
        self.held, self.num_steps = batch, len(steps)
        return self

    def logprobs(self, temperature: float) -> Any:
        self.calls.append("logprobs")
        sampled = self.held.column("sample_logprobs")
        return sampled, np.ones_like(sampled)

    def values(self) -> Any:
        self.calls.append("values")
        return np.full_like(self.held.column("sample_logprobs"), 0.25)

    def update(self, batch: Any, rates: Any, loss: Any) -> list[dict[str, float]]:
        self.calls.append("critic" if loss.name == VALUE_LOSS else "policy")
        if loss.name == self.fails:  # as the trainer does
            raise HoneError(f"{loss.name} loss, mini-batch 0: loss is nan")
        return [{"loss": 0.5, "grad_norm": 1.0, "value_clip_frac": 0.0}] * self.num_steps

    def sync(self, version: int) -> None:
        self.calls.append(f"sync {version}")

    def mark_held(self, policy: PolicyState) -> Any:
        return Proof(0.0, 1)

    def save_checkpoint(self, directory: Path) -> None:
        directory.mkdir()

    def __getattr__(self, name: str) -> Any:
        return lambda *_: self.calls.append(name)


@pytest.fixture
def engines(named_sampler: Any, named_judge: Any) -> Engines:
    return Engines(named_sampler(), named_judge())


@pytest.fixture
def stage_context(
    tmp_path: Path, prompt: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, engines: Engines
) -> Iterator[Callable[..., StageContext]]:
    monkeypatch.setattr("rl.stages.rl.export_policy", lambda *_: None)
    for stage in ("rl", "critic"):
        monkeypatch.setattr(f"rl.stages.{stage}.export_critic", lambda *_: None)
    run = RunDirectory(tmp_path / "run")
    run.open("name: x\n")
    prompts = [prompt(f"{'mixed' if i % 2 else 'right'}-{i}") for i in range(10)]

    def make(kind: str, engines: Any = engines, **settings: Any) -> StageContext:
        rl = {
            "steps": 3,
            "prompts_per_step": 4,
            "samples_per_prompt": 2,
            "num_mini_batches": 2,
            "advantage": "decoupled_gae",
            "loss": {"kl_coef_general": 0.0},
            **settings,
        }
        recipe = Recipe.model_validate(
            {
                "name": "x",
                "data": {"builder": "x:y"},
                "rl": rl,
                "critic": {"pretrain_steps": 3, "settle_window": 0 if kind == "rl" else 1},
            }
        )
        return StageContext(
            recipe,
            run,
            run.stage(f"02-{kind}-r0"),
            engines,
            SimpleNamespace(train=prompts),  # type: ignore[arg-type]
            PolicyState(4, tmp_path, "01-sft-r0"),
            SimpleNamespace(advance=lambda *_, **__: None),  # type: ignore[arg-type]
            kind,
            0,
        )

    yield make
    run.close()


def test_a_step_of_ppo_in_its_order(stage_context: Any, engines: Engines, tmp_path: Path) -> None:
    context = stage_context("rl")
    result = RlStage().run(context)
    step = ["logprobs", "values", "critic", "policy"]
    assert engines.calls == [
        "load_critic", "reset_optimizer", "invalidate",
        *step, "sync 5", *step, "sync 6", *step, "sync 7",
    ]  # fmt: skip
    assert result.policy.version == 7 and result.critic is not None
    assert len(context.directory.metrics()) == 3


@pytest.mark.parametrize("round_before", [None, "last"])
def test_a_critic_that_is_not_pretrained_starts_from_the_checkpoint_it_is_given(
    stage_context: Any, engines: Engines, tmp_path: Path, round_before: str | None
) -> None:
    """By `critic.init_from` in the first round, and by the last round's critic later."""
    loaded: list[Path] = []
    engines.load_critic = loaded.append  # type: ignore[attr-defined]
    context = stage_context("rl")
    settings = context.recipe.critic.model_copy(update={"pretrain_steps": 0, "init_from": "checkpoints/rm"})
    context = replace(context, recipe=context.recipe.model_copy(update={"critic": settings}))
    start = Path(round_before) if round_before else None
    RlStage(critic=start).run(context)
    assert loaded == [start or Path("checkpoints/rm")]


def test_value_pretraining_moves_the_critic_alone(
    stage_context: Any, engines: Engines, tmp_path: Path
) -> None:
    result = CriticStage().run(stage_context("critic"))
    assert engines.calls == ["load_critic", *["values", "critic"] * 2]  # settled: nothing is gained
    assert result.num_steps == 2


def test_waiting_for_verdicts_is_judging(stage_context: Any, tmp_path: Path) -> None:
    """The judge of this test claims to have been waited for half a second a step, in both stages."""
    for kind, stage in {"rl": RlStage, "critic": CriticStage}.items():
        context = stage_context(kind)
        stage().run(context)
        metrics = context.directory.metrics()[0]
        assert metrics["time/judge_s"] >= 0.5 and metrics["time/generate_s"] < 0
        assert context.watch.seconds["judge"] >= 0.5 * len(context.directory.metrics())


@pytest.mark.parametrize(
    ("kind", "loss", "before"),
    [("critic", VALUE_LOSS, []), ("rl", VALUE_LOSS, []), ("rl", "vanilla", ["critic"])],
)
def test_a_loss_that_is_no_number_stops_the_stage(
    stage_context: Any, engines: Engines, tmp_path: Path, kind: str, loss: str, before: list[str]
) -> None:
    """Nothing is learnt or logged after it."""
    engines.fails = loss
    stage = {"rl": RlStage, "critic": CriticStage}[kind]
    context = stage_context(kind)
    with pytest.raises(HoneError, match=f"{loss} loss, mini-batch 0: loss is nan"):
        stage().run(context)
    updates = [call for call in engines.calls if call in ("critic", "policy")]
    assert updates[:-1] == before
    assert not context.directory.metrics()


def test_a_killed_stage_goes_on_from_the_sources_state(
    stage_context: Any, named_sampler: Any, named_judge: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"steps": 6, "checkpoint_every_steps": 2, "dynamic_sampling": True}

    def run_on(sampler: Any, fails_at: int | None = None) -> Any:
        engines = Engines(sampler, named_judge())
        context = stage_context("rl", engines, **settings)
        if fails_at is not None:
            sync = engines.sync
            engines.sync = lambda version: 1 / 0 if version == fails_at else sync(version)  # type: ignore
        return RlStage().run(context), context

    with pytest.raises(ZeroDivisionError):
        run_on(named_sampler(), fails_at=4 + 4)
    cursor = json.loads((tmp_path / "run/stages/02-rl-r0/cursor.json").read_text())
    assert cursor["next_step"] == cursor["source"]["step"] == 2
    assert set(cursor["source"]["prompts"]) == {"num_draws", "num_taken"}
    resumed = named_sampler()
    run_on(resumed)

    (tmp_path / "run/metrics.jsonl").unlink()
    whole = named_sampler()
    run_on(whole)
    assert resumed.steps == [step for step in whole.steps if step >= 2]
    assert resumed.asked == whole.asked[-len(resumed.asked) :]
