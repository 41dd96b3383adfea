"""`hone reward-model train` as a whole: preferences, a DeepSpeed trainer, a report through vLLM; nothing twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from rich.console import Console

from recipes.commands.reward_model import train_reward_model
from recipes.digits.preferences import build_preferences
from reward_models.preferences.preference import load_preferences
from reward_models.serving import served
from reward_models.value_head import VALUE_HEAD_FILE
from rl.data.batch import Batch
from rl.data.preference_pairs import (
    answer_sequence,
    better_first,
    comparison_rows,
    preference_paths,
)
from rl.data.prompt_encoder import PromptEncoder
from rl.data.run_data import RunData
from rl.engines.engines import Engines
from rl.families.family import load_family
from rl.recipe.data_config import PreferenceDataConfig
from rl.recipe.judging_config import RubricConfig
from rl.recipe.recipe import RewardRecipe
from rl.run.progress import ProgressDisplay
from rl.run.results.manifest import results_of
from rl.run.results.stage_result import PolicyState, RewardModelResult
from rl.run.run_directory import RunDirectory
from rl.run.stopwatch import Stopwatch
from rl.stages.checkpoint import StageCheckpoint
from rl.stages.stage import StageContext
from rl.stages.supervised.reward_model import RewardStage
from rl.stages.supervised.reward_objective import reward_objective
from rl.trainer.trainer import Trainer
from verifiers.errors import BadInput

OPTIONS = {"num_train_prompts": 24, "num_heldout_prompts": 8}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> RewardRecipe:
    return RewardRecipe.model_validate(
        {
            "name": "tiny_reward",
            "run_dir": str(tmp_path_factory.mktemp("reward") / "run"),
            "data": {"builder": "recipes.digits.preferences:build_preferences", "builder_options": OPTIONS},
            "trainer": {"threads_per_rank": 1, "micro_batch_tokens": 4096},
            "sampler": {"max_model_len": 160, "max_num_seqs": 32, "kv_cache_gib": 0.0625, "threads": 1},
            "batch_size": 16,
            "schedule": {"lr": 1e-3, "min_lr": 1e-5, "warmup_frac": 0.1},
            "checkpoint_every_steps": 2,
        }
    )


@pytest.mark.parametrize("kind", ["pairwise", "scalar"])
def test_trained_reported_and_not_done_twice(
    ray_session: None, recipe: RewardRecipe, kind: str, tmp_path: Path
) -> None:
    recipe = recipe.model_copy(update={"kind": kind})
    run = RunDirectory(tmp_path / "run")
    run.open(f"kind: {kind}\n")
    with ProgressDisplay(Console(quiet=True)) as display:
        report = train_reward_model(recipe, run, display)
        assert train_reward_model(recipe, run, display) == report
    assert report.num_failed == 0 and report.num_pairs > 8
    assert report.accuracy is not None and 0 <= report.accuracy <= 1
    assert report.one_at_a_time == (kind == "scalar") == (report.position_bias_frac is None)
    assert json.loads((run.path / "report.json").read_text())["num_pairs"] == report.num_pairs
    left = {file.name for file in (run.path / "model").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= left
    assert (VALUE_HEAD_FILE in left) == (kind == "scalar")
    metrics = run.metrics.of_stage("01-reward-model-r0")
    losses = [one["train/loss"] for one in metrics]
    assert losses[-1] < losses[0]
    assert ("reward_model/pair_accuracy_frac" in metrics[0]) == (kind == "scalar")
    run.close()


def test_a_rubric_is_learnt_and_its_agreement_reported(
    ray_session: None, recipe: RewardRecipe, tmp_path: Path
) -> None:
    criteria = [
        {"name": "counts", "text": "It counts."},
        {"name": "true", "text": "So.", "sees": ["answer", "images"]},
    ]
    data = recipe.data.model_copy(update={"builder": "recipes.digits.hybrid:build_description_preferences"})
    recipe = recipe.model_copy(
        update={"kind": "rubric", "rubric": RubricConfig(criteria={"general": criteria}), "data": data}
    )
    run = RunDirectory(tmp_path / "run")
    run.open("kind: rubric\n")
    with ProgressDisplay(Console(quiet=True)) as display:
        report = train_reward_model(recipe, run, display)
    assert report.num_failed == 0 and report.one_at_a_time
    (result,) = (one for one in results_of(run.path) if isinstance(one, RewardModelResult))
    assert result.criteria_right_frac is not None and 0 < result.criteria_right_frac <= 1
    losses = [one["train/loss"] for one in run.metrics.of_stage("01-reward-model-r0")]
    assert losses[-1] < losses[0]
    run.close()


def test_a_scalar_model_goes_on_after_a_kill_and_a_critic_starts_from_it(
    ray_session: None, recipe: RewardRecipe, tmp_path: Path
) -> None:
    """Half a run and the rest of it make the same model as a whole one; its scores through vLLM are the values of the
    critic that the trainer makes of it, and so what `critic.init_from` begins with."""
    recipe = recipe.model_copy(update={"kind": "scalar"})
    paths = preference_paths(recipe, tmp_path / "data", seed=recipe.seed)
    pairs, heldout = (
        better_first(load_preferences(paths[name]), recipe, seed=recipe.seed) for name in ("train", "heldout")
    )
    base = tmp_path / "base"
    load_family(recipe.model.family).build_tiny(base, seed=5, corpus=["the sum?"], sizes={})
    encoder = PromptEncoder(base)
    objective = reward_objective("scalar", pairs, encoder, max_tokens=160)
    trainer = Trainer(recipe.trainer, recipe.model, base, tmp_path / "logs")
    with ProgressDisplay(Console(quiet=True)) as display, display.stage("x") as progress:

        def train(name: str, stop: int | None = None) -> Path:
            """Steps up to `stop`, then as a kill would leave it; or to the end and exported."""
            run = RunDirectory(tmp_path / name)
            run.open("x: 1\n")
            directory, engines = run.stage("01-x"), cast(Engines, SimpleNamespace(trainer=trainer))
            context = StageContext(
                recipe.as_recipe(), run, directory, engines, RunData((), (), ()), PolicyState(0, base, "base"),
                progress, "reward-model", 0,
            )  # fmt: skip
            checkpoint = StageCheckpoint(directory, Stopwatch(), every_steps=recipe.checkpoint_every_steps)
            if stop is not None:
                checkpoint.save = stopping_at(stop, checkpoint.save)  # type: ignore[method-assign]
                with pytest.raises(KeyboardInterrupt):
                    RewardStage().fit(context, objective, checkpoint)
            else:
                RewardStage().fit(context, objective, checkpoint)
                objective.export(trainer, base, run.path / "model")
            run.close()
            return run.path / "model"

        try:
            whole = train("whole")
            train("cut", stop=2)
            resumed = train("cut")
            for file in ("model.safetensors", VALUE_HEAD_FILE):
                assert (whole / file).read_bytes() == (resumed / file).read_bytes()
            trainer.load_critic(whole)
            sequences = [answer_sequence(one.prompt, one.first, encoder) for one in heldout]
            values = trainer.values(Batch.of(sequences))
        finally:
            trainer.shutdown()
    with served(whole, recipe.sampler, tmp_path / "logs") as model:
        scores = model.compare(heldout)
    np.testing.assert_allclose(
        [scores[one.comparison_id].parts["score"] for one in heldout], values, atol=1e-5
    )
    assert np.std(values) > 1e-3


def stopping_at(step: int, save: Callable[..., None]) -> Callable[..., None]:
    """Saves, and at a step stops as a kill would."""

    def save_and_stop(trainer: Trainer, next_step: int, *source: Any) -> None:
        save(trainer, next_step, *source)
        if next_step == step:
            raise KeyboardInterrupt

    return save_and_stop


def test_pairs_come_in_both_orders_with_the_better_one_named(recipe: RewardRecipe, tmp_path: Path) -> None:
    lists = load_preferences(build_preferences(tmp_path, **OPTIONS)["train"])
    pairs = better_first(lists, recipe, seed=1)
    assert len(pairs) == sum(len(list(one.pairs())) for one in lists)
    rows = comparison_rows(pairs)
    assert len({row.prompt.prompt_id for row in rows}) == len(rows) == 2 * len(pairs)
    for pair, (first, second) in zip(pairs, zip(rows[::2], rows[1::2], strict=True), strict=True):
        assert (first.response, second.response) == ("1", "2")
        assert f"Response 1: {pair.first.text}\n" in first.prompt.text
        assert f"Response 2: {pair.first.text}\n" in second.prompt.text
        assert first.prompt.images == pair.prompt.images
    fewer = better_first(lists, recipe.model_copy(update={"max_pairs_per_list": 1}), seed=1)
    assert len(fewer) == len(lists)
    assert fewer == better_first(lists, recipe.model_copy(update={"max_pairs_per_list": 1}), seed=1)


def test_heldout_handwriting_is_never_trained_on(tmp_path: Path) -> None:
    paths = build_preferences(tmp_path, **OPTIONS)
    train, heldout = (
        {image for one in load_preferences(paths[name]) for image in one.prompt.images}
        for name in ("train", "heldout")
    )
    assert train and heldout and not train & heldout


def test_a_set_that_nobody_makes_is_refused(recipe: RewardRecipe, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"give data\.builder, or both data\.train and data\.heldout"):
        PreferenceDataConfig(train="a.parquet")
    data = PreferenceDataConfig(builder="recipes.digits.preferences:nothing")
    with pytest.raises(BadInput, match=r"no function .nothing. in recipes\.digits\.preferences"):
        preference_paths(recipe.model_copy(update={"data": data}), tmp_path, seed=1)
