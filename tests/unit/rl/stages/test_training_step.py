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

from rl.algorithm.loss.losses import VALUE_LOSS
from rl.experience.selection.thinning_source import ThinningSource
from rl.fakes import FakeEngines, FakeHeldBatch, FakeTrainer
from rl.recipe.recipe import Recipe
from rl.run.results.stage_result import PolicyState
from rl.run.run_directory import RunDirectory
from rl.stages.critic import CriticStage
from rl.stages.rl import RlStage
from rl.stages.stage import StageContext
from rl.stages.training_step import TrainingStep
from verifiers.errors import HoneError


class Failing(FakeTrainer):
    """Fails at the loss that ``fails`` names, as the trainer does at one that is NaN."""

    fails: str | None = None

    def step(self, batch: Any, rate: float, loss: Any) -> dict[str, float]:
        figures = super().step(batch, rate, loss)
        if loss.name == self.fails:
            raise HoneError(f"{loss.name} loss, mini-batch 0: loss is nan")
        return figures


@pytest.fixture
def stage_context(
    tmp_path: Path, prompt: Callable[..., Any], named_sampler: Any, named_judge: Any
) -> Iterator[Callable[..., StageContext]]:
    run = RunDirectory(tmp_path / "run")
    run.open("name: x\n")
    prompts = [prompt(f"{'mixed' if i % 2 else 'right'}-{i}") for i in range(10)]
    base = PolicyState(0, tmp_path / "base", "00-prepare")
    base.hub.mkdir()

    def make(kind: str, *, kl_coef_general: float = 0.0, **settings: Any) -> StageContext:
        rl = {
            "steps": 3,
            "prompts_per_step": 4,
            "samples_per_prompt": 2,
            "num_mini_batches": 2,
            "advantage": "decoupled_gae",
            "loss": {"kl_coef_general": kl_coef_general},
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
        engines = FakeEngines(
            recipe,
            base,
            run.logs,
            probe=prompts,
            sampler=named_sampler(),
            trainer=Failing(),
            judge=named_judge(),
        )
        engines.start()
        engines.trainer.calls.clear()
        return StageContext(
            recipe,
            run,
            run.stage(f"02-{kind}-r0"),
            engines,
            SimpleNamespace(train=prompts),  # type: ignore[arg-type]
            PolicyState(4, tmp_path / "base", "01-sft-r0"),
            SimpleNamespace(advance=lambda *_, **__: None),  # type: ignore[arg-type]
            kind,
            0,
        )

    yield make
    run.close()


def calls_of(context: StageContext) -> list[str]:
    """What the trainer was asked for."""
    trainer: Any = context.engines.trainer
    return trainer.calls


def test_a_step_of_ppo_in_its_order(stage_context: Any) -> None:
    context = stage_context("rl")
    result = RlStage().run(context)
    step = ["values", "logprobs", *["update value"] * 2, *["update vanilla"] * 2, "send_weights"]
    proof = ["logprobs"]
    assert calls_of(context) == ["load_critic", "reset_optimizer", *step * 3, *proof]
    assert result.policy.version == context.engines.sampler.policy_version == 7
    assert result.critic is not None
    assert len(context.directory.metrics()) == 3


def test_a_stage_may_go_on_with_the_optimizer_of_the_one_before(stage_context: Any) -> None:
    context = stage_context("rl", advantage="grpo")
    context.engines.mark_held(context.policy)  # by the stage before
    RlStage(1, keeps_optimizer=True).run(context)
    assert "reset_optimizer" not in calls_of(context)


def test_an_optimizer_that_is_lost_is_not_replaced_silently(stage_context: Any) -> None:
    """By a process that was killed before the first checkpoint; or by other training in between."""
    context = stage_context("rl", advantage="grpo")
    with pytest.raises(
        HoneError, match=rf"moments after {context.policy.stage} are lost.* delete this run's"
    ):
        RlStage(1, keeps_optimizer=True).run(context)
    context.engines.mark_held(context.policy)
    context.engines.load_policy(replace(context.policy, version=9))
    context.engines.load_policy(context.policy)
    with pytest.raises(HoneError, match="are lost"):
        RlStage(1, keeps_optimizer=True).run(context)


@pytest.mark.parametrize("kind", ["rl", "critic"])
def test_the_kl_of_a_step_reaches_the_prompt_source(
    stage_context: Any, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each prompt that was drawn; value pre-training, which has none, goes by the same rule."""
    seen: list[dict[str, float]] = []
    monkeypatch.setattr(ThinningSource, "observe_kl", lambda self, kl: seen.append(dict(kl)))
    loss = {"kl_coef_verifiable": 1e-3, "kl_coef_general": 0.0}
    context = stage_context(kind, prompt_source="thin", loss=loss)
    (RlStage() if kind == "rl" else CriticStage()).run(context)
    assert len(seen) == (3 if kind == "rl" else 0)
    assert all(kl and set(kl.values()) == {0.0} for kl in seen)  # the fakes' reference is the policy


@pytest.mark.parametrize(
    ("settings", "off", "passes"),
    [
        ({}, 0.0, 1),  # the checked rollouts alone: the sampler's serve
        ({}, 1e-3, 2),  # they do not: what is learnt from is computed too
        ({"old_log_probs": "sampler"}, 1e-3, 1),
        ({"old_log_probs": "recompute"}, 0.0, 2),
        ({"num_mini_batches": 1}, 1e-3, 1),  # the update's own pass
        ({"loss": {"importance": "truncate"}}, 0.0, 2),
    ],
)
def test_what_is_computed_before_the_update(
    stage_context: Any, monkeypatch: pytest.MonkeyPatch, settings: Any, off: float, passes: int
) -> None:
    """Every eighth rollout, and of the others those that are learnt from where no other log-probabilities serve."""
    where: list[Any] = []
    original = FakeHeldBatch.logprobs

    def logprobs(self: Any, *arguments: Any, **options: Any) -> Any:
        where.append(options.get("where"))
        values, entropies = original(self, *arguments, **options)
        return values + np.float32(off) * (values != 0), entropies

    context = stage_context("rl", steps=1, prompts_per_step=10, advantage="grpo", **settings)
    monkeypatch.setattr(FakeHeldBatch, "logprobs", logprobs)
    context.engines.weight_sync.prove = lambda: None
    RlStage().run(context)
    (metrics,) = context.directory.metrics()
    checked, *rest = where
    assert len(where) == passes and checked.sum() == 3
    assert metrics["train/mismatch_kl"] == pytest.approx(off**2 / 2, rel=0.01)
    assert metrics["train/entropy"] == pytest.approx(np.log(2))
    computed = checked if not rest else checked | rest[0]
    assert metrics["train/recomputed_frac"] == pytest.approx(computed.mean())
    if rest:  # groups that are all right teach nothing
        assert not (checked & rest[0]).any() and rest[0].sum() <= 10


def test_the_reference_is_loaded_only_for_prompts_that_are_held_to_it(
    stage_context: Any, prompt: Any
) -> None:
    """The coefficient is of general prompts: without any nobody holds a second model, and a step that drew none asks
    for nothing."""
    context = stage_context("rl", kl_coef_general=0.1)
    RlStage().run(context)
    assert not {"load base", "frozen logprobs"} & {*calls_of(context)}
    context = stage_context("rl", kl_coef_general=0.1, steps=5)
    general = replace(prompt("mixed-x"), kind="general")
    context = replace(context, data=SimpleNamespace(train=[*context.data.train, general]))
    RlStage().run(context)
    calls = calls_of(context)
    assert calls.count("load base") == 1 and 0 < calls.count("frozen logprobs") < 5


def test_settled_groups_are_cut_short_and_count_whole(
    stage_context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prompts that are always right are drawn twice instead of four times, but for some; figures are of the first two
    samples, and what is learnt is divided by the tokens of whole groups."""
    batches: list[Any] = []
    original = FakeHeldBatch.update

    def update(self: Any, batch: Any, *arguments: Any) -> Any:
        batches.append(batch)
        return original(self, batch, *arguments)

    monkeypatch.setattr(FakeHeldBatch, "update", update)
    settings = {"advantage": "grpo", "settled_after": 2, "settled_go_on_frac": 0.5}
    context = stage_context("rl", prompts_per_step=10, samples_per_prompt=4, steps=2, **settings)
    RlStage().run(context)
    numbers = set()
    for batch, metrics in zip(batches, context.directory.metrics(), strict=True):
        groups: dict[str, list[int]] = {}
        for index, prompt_id in enumerate(batch.prompt_ids):
            groups.setdefault(prompt_id, []).append(index)
        advantages = [row.any() for row in batch.rows(batch.column("advantages"))]
        for prompt_id, members in groups.items():
            weights = set(batch.scalars["weight"][members].tolist())
            mixed = prompt_id.startswith("mixed")
            assert weights == ({1.0} if mixed else {2.0} if len(members) == 4 else {0.0})
            assert batch.scalars["count"][members].tolist() == [2.0, 2.0, 0.0, 0.0][: len(members)]
            assert any(advantages[i] for i in members) == mixed
            numbers.add((mixed, len(members)))
        assert batch.counts.num_loss_sequences == 40
        assert metrics["rollout/uniform_group_frac"] == 0.5
    assert numbers == {(True, 4), (False, 2), (False, 4)}


@pytest.mark.parametrize("round_before", [None, "last"])
def test_a_critic_that_is_not_pretrained_starts_from_the_checkpoint_it_is_given(
    stage_context: Any, round_before: str | None
) -> None:
    """By `critic.init_from` in the first round, and by the last round's critic later."""
    loaded: list[Path] = []
    context = stage_context("rl")
    context.engines.trainer.load_critic = loaded.append
    settings = context.recipe.critic.model_copy(update={"pretrain_steps": 0, "init_from": "checkpoints/rm"})
    context = replace(context, recipe=context.recipe.model_copy(update={"critic": settings}))
    start = Path(round_before) if round_before else None
    RlStage(critic=start).run(context)
    assert loaded == [start or Path("checkpoints/rm")]


def test_value_pretraining_moves_the_critic_alone(stage_context: Any) -> None:
    context = stage_context("critic")
    result = CriticStage().run(context)
    step = ["values", *["update value"] * 2]
    assert calls_of(context) == ["load_critic", *step * 2]  # settled: nothing is gained
    assert result.num_steps == 2


@pytest.mark.parametrize(("window", "explained"), [(0, 0.75), (1, 0.75), (2, 0.5)])
def test_a_critic_is_judged_by_its_last_steps(
    stage_context: Any, window: int, explained: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    values, finish = iter([-8.0, 0.25, 0.75]), TrainingStep.finish
    monkeypatch.setattr(
        TrainingStep, "finish", lambda step: finish(step) | {"critic/explained_variance": next(values)}
    )
    context = stage_context("critic")
    settings = context.recipe.critic.model_copy(update={"settle_window": window})
    context = replace(context, recipe=context.recipe.model_copy(update={"critic": settings}))
    assert CriticStage().run(context).explained_variance == explained


def test_waiting_for_verdicts_is_judging(stage_context: Any) -> None:
    """The judge of this test claims to have been waited for half a second a step, in both stages."""
    for kind, stage in {"rl": RlStage, "critic": CriticStage}.items():
        context = stage_context(kind)
        stage().run(context)
        metrics = context.directory.metrics()[0]
        assert metrics["time/judge_s"] >= 0.5 and metrics["time/generate_s"] < 0
        assert context.watch.seconds["judge"] >= 0.5 * len(context.directory.metrics())


@pytest.mark.parametrize(
    ("kind", "loss", "before"),
    [("critic", VALUE_LOSS, []), ("rl", VALUE_LOSS, []), ("rl", "vanilla", ["update value"] * 2)],
)
def test_a_loss_that_is_no_number_stops_the_stage(
    stage_context: Any, kind: str, loss: str, before: list[str]
) -> None:
    """Nothing is learnt or logged after it."""
    stage = {"rl": RlStage, "critic": CriticStage}[kind]
    context = stage_context(kind)
    context.engines.trainer.fails = loss
    with pytest.raises(HoneError, match=f"{loss} loss, mini-batch 0: loss is nan"):
        stage().run(context)
    updates = [call for call in calls_of(context) if call.startswith("update")]
    assert updates[:-1] == before
    assert not context.directory.metrics()


def test_a_killed_stage_goes_on_from_the_sources_state(stage_context: Any, tmp_path: Path) -> None:
    settings = {"steps": 6, "checkpoint_every_steps": 2, "dynamic_sampling": True}

    def run(fails_at: int | None = None) -> list[Any]:
        """What was asked of the sampler."""
        context = stage_context("rl", **settings)
        sync = context.engines.weight_sync.sync
        context.engines.weight_sync.sync = lambda version: 1 / 0 if version == fails_at else sync(version)
        try:
            RlStage().run(context)
        except ZeroDivisionError:
            assert fails_at is not None
        return [(plan, names) for plan, names in context.engines.sampler.asked if plan.stage != "probe"]

    run(fails_at=4 + 4)
    cursor = json.loads((tmp_path / "run/stages/02-rl-r0/cursor.json").read_text())
    assert cursor["next_step"] == cursor["source"]["step"] == 2
    assert set(cursor["source"]["prompts"]) == {"num_draws", "num_taken"}
    resumed = run()

    (tmp_path / "run/metrics.jsonl").unlink()
    (tmp_path / "run/stages/02-rl-r0/cursor.json").unlink()
    whole = run()
    assert resumed == [(plan, names) for plan, names in whole if plan.step >= 2]
    assert len(resumed) < len(whole)
