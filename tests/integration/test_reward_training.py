"""`hone reward-model train` as a whole: preferences, a DeepSpeed trainer, a report through vLLM; nothing twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

from recipes.digit_preferences import build_preferences
from reward_models.preference import load_preferences
from rl.judging_recipe import PreferenceDataConfig
from rl.progress import ProgressDisplay
from rl.reward_data import better_first, comparison_rows, preference_paths
from rl.reward_recipe import RewardRecipe
from rl.reward_run import train_reward_model
from rl.run_directory import RunDirectory
from verifiers.errors import BadInput

OPTIONS = {"num_train_prompts": 24, "num_heldout_prompts": 8}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> RewardRecipe:
    return RewardRecipe.model_validate(
        {
            "name": "tiny_reward",
            "run_dir": str(tmp_path_factory.mktemp("reward") / "run"),
            "data": {"builder": "recipes.digit_preferences:build_preferences", "builder_options": OPTIONS},
            "trainer": {"threads_per_rank": 1, "micro_batch_tokens": 4096},
            "sampler": {"max_model_len": 160, "max_num_seqs": 32, "kv_cache_gib": 0.0625, "threads": 1},
            "batch_size": 16,
            "schedule": {"lr": 1e-3, "min_lr": 1e-5, "warmup_frac": 0.1},
            "checkpoint_every_steps": 2,
        }
    )


def test_trained_reported_and_not_done_twice(ray_session: None, recipe: RewardRecipe) -> None:
    run = RunDirectory(Path(recipe.run_dir))
    run.open("name: tiny_reward\n")
    with ProgressDisplay(Console(quiet=True)) as display:
        report = train_reward_model(recipe, run, display)
        assert train_reward_model(recipe, run, display) == report
    assert report.num_failed == 0 and report.num_pairs > 8
    assert report.accuracy is not None and 0 <= report.accuracy <= 1
    assert json.loads((run.path / "report.json").read_text())["num_pairs"] == report.num_pairs
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {
        f.name for f in (run.path / "model").iterdir()
    }
    losses = [metrics["train/loss"] for metrics in run.metrics_of("01-reward-model")]
    assert losses[-1] < losses[0]
    run.close()


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
    data = PreferenceDataConfig(builder="recipes.digit_preferences:nothing")
    with pytest.raises(BadInput, match=r"no function .nothing. in recipes\.digit_preferences"):
        preference_paths(recipe.model_copy(update={"data": data}), tmp_path, seed=1)
