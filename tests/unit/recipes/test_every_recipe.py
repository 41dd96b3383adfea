"""Every recipe that is shipped: the doctor finds nothing to fail, and names what the user has to bring."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes import cli
from recipes.settings.recipe_file import RECIPES

OF_ONE_S_OWN = {"seed_vl"}  # data and checkpoints are the user's
OTHER_COMMAND = dict.fromkeys(("digits_reward_cpu", "digits_rubric_cpu"), "hone reward-model train")
SMALL = [f"data.builder_options.num_{name}={number}" for name, number in (
    ("train_prompts", 130), ("heldout_prompts", 8), ("cold_start_rows", 40),
)]  # fmt: skip
SMALL_HYBRID = [
    f"judging.reward_model.training.data.builder_options.num_{name}_prompts={number}"
    for name, number in (("train", 8), ("heldout", 4))
] + [
    f"data.builder_options.num_general_{name}={number}"
    for name, number in (("prompts", 130), ("heldout_prompts", 8), ("cold_start_rows", 40))
]


@pytest.mark.parametrize("recipe", sorted(path.stem for path in RECIPES.glob("*/*.yaml")))
def test_the_doctor_passes_a_shipped_recipe(
    recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    small = [] if recipe in {*OF_ONE_S_OWN, *OTHER_COMMAND} else SMALL
    small = [*small, *SMALL_HYBRID] if recipe.startswith("hybrid") else small
    status = cli.main(["doctor", recipe, "--quick", *small])
    told = capfd.readouterr()
    if recipe in OTHER_COMMAND:
        assert status == 2 and f"is a recipe of another command: {OTHER_COMMAND[recipe]}" in told.err
        return
    failed = [line for line in told.out.splitlines() if line.startswith("✗")]
    if recipe in OF_ONE_S_OWN:
        assert status == 1 and all(
            "no such file: data/" in line or "no such directory" in line for line in failed
        )
    else:
        assert (status, failed) == (0, []), told.out
    assert any(line.startswith("✓ algorithm ") for line in told.out.splitlines())


def test_the_doctor_names_an_algorithm_or_a_source_that_nobody_has(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for override, name, words in (
        ("rl.prompt_source=recipes.gym.adaptive_source:Mine", "prompt source", "no function 'Mine'"),
        ("rl.prompt_source=bandd", "prompt source", "did you mean 'band'"),
        ("rl.prompt_source_options.high=0.5", "prompt source", "epochs in a seeded order have none"),
        ("rl.advantage=grppo", "algorithm", "rl.advantage='grppo' is unknown; did you mean 'grpo'?"),
        (
            "rl.loss.policy_loss=vanila",
            "algorithm",
            "rl.loss.policy_loss='vanila' is unknown; did you mean 'vanilla'?",
        ),
        ("rl.algorithm=nowhere.at_all:Mine", "algorithm", "nowhere.at_all:Mine"),
    ):
        given = ["tests/data/tiny_program.yaml", override, f"run_dir={tmp_path / 'run'}"]
        assert cli.main(["doctor", *given, "--quick"]) == 1
        (line,) = (line for line in capfd.readouterr().out.splitlines() if line.startswith("✗"))
        assert line.startswith(f"✗ {name} ") and words in line
