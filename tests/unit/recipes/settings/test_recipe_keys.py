"""`hone recipe keys | show`: every key with its type, range, default and meaning; a recipe with all of them."""

import yaml

from recipes import cli
from recipes.settings.recipe_file import load_recipe
from recipes.settings.recipe_keys import RecipeKey, keys_of, near_keys
from rl.recipe.recipe import Recipe


def test_a_key_has_the_default_of_its_section_its_range_and_its_meaning():
    keys = {key.name: key for key in keys_of(Recipe)}
    steps = RecipeKey("rl.steps", "int >= 1", "100", "rollout batches a stage")
    assert keys["rl.steps"] == steps
    assert (keys["sft.schedule.lr"].default, keys["rl.schedule.lr"].default) == ("2.0e-05", "6.0e-07")
    assert keys["sft.pack_tokens"].type == "int >= 1 | null"
    assert keys["evaluation.top_p"].type == "float > 0, <= 1"
    assert keys["rl.loss.kl_in"].type == "loss | reward"
    assert (keys["evaluation.pass_at"].type, keys["evaluation.pass_at"].default) == ("list of int", "[4]")
    assert keys["name"].default == "(required)"
    optional = keys["judging.reward_model"]
    assert (optional.is_section, optional.default) == (True, "null")
    assert keys["judging.reward_model.sampler.max_model_len"].default == "1024"


def test_near_keys_look_one_section_in_and_out():
    assert near_keys(Recipe, "rl.kl_coef_general") == ["rl.loss.kl_coef_general"]
    assert near_keys(Recipe, "rl.loss.max_response_tokens") == ["rl.max_response_tokens"]
    assert near_keys(Recipe, "num_workers") == ["sampler.num_workers", "judging.num_workers"]
    assert near_keys(Recipe, "rl.clip_hgih") == ["rl.loss.clip_high"]
    assert near_keys(Recipe, "zzz.zzz") == []


def test_keys_are_listed_by_section(capsys):
    assert cli.main(["recipe", "keys", "rl.loss"]) == 0
    shown = capsys.readouterr().out
    assert "rl.loss: The policy loss" in shown
    assert "rl.loss.kl_in: loss   (loss | reward)\n    KL to the reference" in shown
    assert "rl.steps" not in shown
    assert cli.main(["recipe", "keys", "max_pairs_per_list", "--reward-model"]) == 0
    assert "max_pairs_per_list: null   (int >= 1 | null)" in capsys.readouterr().out
    assert cli.main(["recipe", "keys", "rl.los"]) == 2
    assert "no key or section 'rl.los'; did you mean 'rl.loss'?" in capsys.readouterr().err


def test_show_prints_the_whole_recipe_as_a_run_would_keep_it(capsys):
    assert cli.main(["recipe", "show", "digits_cpu", "rl.steps=3"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown == load_recipe("digits_cpu", ["rl.steps=3"]).model_dump(mode="json")
    assert cli.main(["recipe", "show", "digits_reward_cpu", "--reward-model"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["max_pairs_per_list"] == 2
