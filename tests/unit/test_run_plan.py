"""`hone run --dry-run`: data files are read and counted, stages that are done are marked."""

import json

import pytest

from recipes.recipe_file import load_recipe
from recipes.run_plan import print_plan
from verifiers.errors import BadInput


def write_prompts(path, references):
    rows = [
        {
            "messages": [{"role": "user", "content": f"What is {index}?"}],
            "images": [],
            "kind": "verifiable",
            "verifier": "math",
            "reference": reference,
        }
        for index, reference in enumerate(references)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def recipe_of(tmp_path):
    def build(references):
        train = write_prompts(tmp_path / "train.jsonl", references)
        heldout = write_prompts(tmp_path / "heldout.jsonl", ["7"])
        file = tmp_path / "own.yaml"
        file.write_text(
            f"name: own\ndata: {{train_prompts: {train}, heldout_prompts: {heldout}}}\nrun_dir: {tmp_path / 'run'}\n"
            "program: {rounds: 2}\n"
        )
        return load_recipe(file)

    return build


def test_files_are_counted_and_no_cold_start_means_no_first_sft(recipe_of, capsys):
    print_plan(recipe_of(["1", "2", "3"]))
    shown = capsys.readouterr().out
    assert "train: 3 rows" in shown
    assert "held out: 1 rows" in shown
    assert "cold start: none" in shown
    assert "round 0 · SFT" not in shown
    assert "round 1 · SFT" in shown
    assert "to do" not in shown


def test_a_bad_row_is_named(recipe_of):
    recipe = recipe_of(["1", "\\frac{1"])
    with pytest.raises(BadInput, match=r"train.jsonl.*2.*reference"):
        print_plan(recipe)


def test_stages_that_are_done_are_marked(recipe_of, tmp_path, capsys):
    stage = tmp_path / "run" / "stages" / "00-prepare"
    stage.mkdir(parents=True)
    (stage / "manifest.json").write_text("{}")
    print_plan(recipe_of(["1"]))
    lines = capsys.readouterr().out.splitlines()
    assert next("done" in line for line in lines if "prepare data" in line)
    assert next("to do" in line for line in lines if "round 0 · RL" in line)
