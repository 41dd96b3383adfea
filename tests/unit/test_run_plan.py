"""`hone run --dry-run`: stages that are done are marked, files are read, and what needs no engine is checked."""

import json

import pytest

from recipes import cli
from recipes.recipe_file import load_recipe
from recipes.run_plan import print_plan


def row(index, **changes):
    message = {"role": "user", "content": f"What is {index}?"}
    return {"messages": [message], "images": [], "verifier": "math", "reference": str(index), **changes}


def write_rows(path, *rows):
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return path


@pytest.fixture
def recipe_of(tmp_path, monkeypatch):
    """A recipe over train.jsonl with these rows, and its overrides; one held-out prompt that is none of them."""
    monkeypatch.chdir(tmp_path)

    def build(rows, *overrides, heldout=None):
        write_rows(tmp_path / "train.jsonl", *rows)
        write_rows(tmp_path / "heldout.jsonl", *(heldout or [row(99)]))
        (tmp_path / "own.yaml").write_text(
            "name: own\ndata: {train_prompts: train.jsonl, heldout_prompts: heldout.jsonl}\n"
            "sampler: {max_model_len: 128}\n"
            "rl: {max_response_tokens: 40, prompts_per_step: 2, samples_per_prompt: 4}\nprogram: {rounds: 2}\n"
        )
        return load_recipe("own.yaml", overrides)

    return build


@pytest.fixture
def told(recipe_of, capsys):
    """The lines of the plan's checks, by the check's first words."""

    def lines(*arguments, **sets):
        print_plan(recipe_of(*arguments, **sets))
        return [line for line in capsys.readouterr().out.splitlines() if line[:2] in ("✓ ", "! ", "✗ ", "  ")]

    return lines


def line_of(lines, check):
    return next(line for line in lines if line[2:].startswith(check) and not line.startswith("  "))


def test_stages_and_engines_are_counted(recipe_of, capsys):
    print_plan(recipe_of([row(1), row(2), row(3)], "program.rounds=1"))
    shown = capsys.readouterr().out
    assert "own: 1 round into" in shown
    assert "train prompts: train.jsonl" in shown
    assert "cold-start rows: none" in shown
    assert "1 trainer rank (ZeRO-1), 1 rollout worker on cpu" in shown
    assert "round 0 · SFT" not in shown
    assert "to do" not in shown
    print_plan(recipe_of([row(1)]))
    assert "round 1 · SFT" in capsys.readouterr().out


def test_sound_files_are_counted_and_named(told):
    lines = told([row(1), row(2), row(3)])
    assert "3 of train.jsonl" in line_of(lines, "train prompts")
    assert not [line for line in lines if line[:1] in "!✗"]


def test_wrong_rows_are_named_together_and_the_plan_is_still_shown(recipe_of, capsys):
    recipe_of([row(1), row(2, reference="\\frac{1"), row(3), row(4, verifier="maht")])
    assert cli.main(["run", "own.yaml", "--dry-run"]) == 1
    shown = capsys.readouterr().out
    assert "round 0 · RL" in shown
    assert "2 rows cannot be read" in line_of(shown.splitlines(), "train prompts")
    assert "    train.jsonl, line 2, column 'reference':" in shown
    assert "    train.jsonl, line 4, column 'verifier': unknown verifier 'maht'" in shown


def test_a_held_out_prompt_that_is_trained_on_is_named_in_both_files(told):
    lines = told([row(1), row(2)], heldout=[row(7), row(2)])
    assert "1 held-out prompt also trained on" in line_of(lines, "held-out prompts are not")
    assert "    heldout.jsonl, line 2 is train.jsonl, line 2" in lines


def test_general_prompts_need_a_reward_model_and_a_reference(told):
    general = row(3, verifier=None, kind="general")
    path = "judging.reward_model.path=rm"
    assert "1 prompt without a verifier, and judging.reward_model is not set: train.jsonl, line 2" in line_of(
        told([row(1), general]), "every prompt has a judge"
    )
    bare = told([row(1), general, {**general, "messages": "And 4?", "reference": ""}], path)
    assert "1 general prompt without a reference to compare with: train.jsonl, line 3" in line_of(
        bare, "every prompt has a judge"
    )


def test_a_step_that_asks_for_more_than_there_is(told):
    few = line_of(told([row(1)]), "prompts fill a step")
    assert few.startswith("!") and "rl.prompts_per_step=2, and the train prompts make 1 prompt" in few
    rollouts = line_of(told([row(1), row(2)], "rl.rollouts_per_step=16"), "prompts fill a step")
    assert "rl.rollouts_per_step=16, and the train prompts make 8 rollouts" in rollouts
    assert line_of(told([row(1), row(2)]), "prompts fill a step").startswith("✓")


def test_lengths_are_added_up(told):
    rows = [row(1), row(2)]
    assert "prompts up to 88 tokens" in line_of(told(rows), "prompts and responses fit")
    none = line_of(told(rows, "sampler.max_model_len=40"), "prompts and responses fit")
    assert none.startswith("✗") and "rl.max_response_tokens=40 leaves no room for a prompt" in none
    judge = ["judging.reward_model.path=rm", "judging.reward_model.sampler.max_model_len=168"]
    tight = line_of(told(rows, *judge), "comparisons fit the reward model")
    assert (
        tight.startswith("!")
        and "2 x 40 of an answer: up to 169 tokens" in tight
        and "raise it to 169" in tight
    )
    judge[1] = judge[1].replace("168", "169")
    assert line_of(told(rows, *judge), "comparisons fit the reward model").startswith("✓")


def test_a_misspelt_column_is_a_warning_and_other_columns_are_named_once(told):
    lines = told([row(1, image="a.png", note="x"), row(2, note="y")])
    slip = line_of(lines, "train prompts")
    assert slip.startswith("!")
    assert "column 'image' (train.jsonl, line 1) is not read, did you mean 'images'?" in slip
    extra = line_of(told([row(1, note="x"), row(2, level=3)]), "train prompts")
    assert extra.startswith("✓") and "2 of train.jsonl; not read: note, level" in extra


def test_stages_that_are_done_are_marked(recipe_of, tmp_path, capsys):
    recipe = recipe_of([row(1)])
    stage = tmp_path / "runs" / "own" / "stages" / "00-prepare"
    stage.mkdir(parents=True)
    (stage / "manifest.json").write_text("{}")
    print_plan(recipe)
    lines = capsys.readouterr().out.splitlines()
    assert next("done" in line for line in lines if "prepare data" in line)
    assert next("to do" in line for line in lines if "round 0 · RL" in line)
