"""`hone run --dry-run`: stages that are done are marked, files are read, and what needs no engine is checked."""

import json

import pytest

from recipes import cli
from recipes.commands.output.run_plan import print_plan
from recipes.settings.recipe_file import dump_recipe, load_recipe
from verifiers.errors import BadInput


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
            "rl: {max_response_tokens: 40, prompts_per_step: 2, samples_per_prompt: 4, num_mini_batches: 1}\n"
            "program: {rounds: 2}\n"
        )
        return load_recipe("own.yaml", overrides)

    return build


@pytest.fixture
def told(recipe_of, capsys):
    """The lines of the plan's checks, by the check's first words."""

    def lines(*arguments, **sets):
        print_plan(recipe_of(*arguments, **sets))
        return [
            line
            for line in capsys.readouterr().out.splitlines()
            if line[:2] in ("✓ ", "! ", "✗ ", "· ", "  ")
        ]

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


def test_a_finished_run_of_another_recipe_is_refused_by_the_plan_too(recipe_of, tmp_path):
    begun = recipe_of([row(1)])
    done = tmp_path / begun.run_dir / "stages" / "00-prepare" / "manifest.json"
    done.parent.mkdir(parents=True)
    done.write_text('{"stage": "00-prepare", "round": 0, "result": {}}')
    (tmp_path / begun.run_dir / "recipe.yaml").write_text(dump_recipe(begun))
    with pytest.raises(BadInput, match=r"seed was .* and is now 7; .*train_prompts was train.jsonl"):
        print_plan(recipe_of([row(1)], "seed=7", "data.train_prompts=chosen.parquet"))


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
    assert (
        "1 prompt without a verifier, and judging.reward_model is not set: give "
        "judging.reward_model.path=CHECKPOINT, or .training with data, or .endpoint; train.jsonl, line 2"
    ) in line_of(told([row(1), general]), "every prompt has a judge")
    bare = told([row(1), general, {**general, "messages": "And 4?", "reference": ""}], path)
    assert "1 general prompt without a reference to compare with: train.jsonl, line 3" in line_of(
        bare, "every prompt has a judge"
    )


def test_what_needs_a_set_that_cannot_be_read_is_not_asked(told):
    lines = told([row(1), row(2, verifier="maht")])
    for check in ("held-out prompts are not", "every prompt has a judge", "rewards are in", "prompts fill a"):
        line = line_of(lines, check)
        assert line.startswith("·") and "not asked: train prompts cannot be read" in line
    assert line_of(lines, "held-out prompts  ").startswith("✓")


def test_a_file_that_is_missing_fails(told):
    missing = line_of(told([row(1)], "data.cold_start=warm.jsonl"), "cold-start rows")
    assert missing.startswith("✗") and "no such file: warm.jsonl" in missing


def test_preferences_are_read_like_prompts(told, tmp_path):
    lists = tmp_path / "lists.jsonl"
    graded = {"messages": "Say 5", "answers": ["five", "six"], "grades": [5, 1]}
    write_rows(lists, graded, {**graded, "grades": [5, 9]})
    where = "judging.reward_model.training.data"
    files = [f"{where}.train=prefs.jsonl", f"{where}.heldout=lists.jsonl", "judging.reward_model.path=null"]
    lines = told([row(1), row(2)], *files)
    missing = line_of(lines, "preference lists")
    assert missing.startswith("✗") and "no such file: prefs.jsonl" in missing
    assert "1 row cannot be read" in line_of(lines, "held-out preference lists")
    assert "    lists.jsonl, line 2, column 'grades': a grade is a whole number from 1 to 5, got '9'" in lines
    assert "not asked: preference lists cannot be read" in line_of(lines, "held-out prompts are not")
    write_rows(lists, graded)
    sound = told([row(1), row(2)], f"{where}.train=lists.jsonl", *files[1:])
    assert "1 of lists.jsonl" in line_of(sound, "preference lists")
    assert "1 prompt beside 3 rows" in line_of(sound, "held-out prompts are not")


def test_a_step_that_asks_for_more_than_there_is(told):
    few = line_of(told([row(1)]), "prompts fill a step")
    assert few.startswith("!") and "rl.prompts_per_step=2, and the train prompts make 1 prompt" in few
    rollouts = line_of(told([row(1), row(2)], "rl.rollouts_per_step=16"), "prompts fill a step")
    assert "rl.rollouts_per_step=16, and the train prompts make 8 rollouts" in rollouts
    assert line_of(told([row(1), row(2)]), "prompts fill a step").startswith("✓")


def test_prompts_to_validate_sft_on_are_there(told):
    there = told([row(1), row(2)], "sft.later_validation_prompts=2")
    assert "2 prompts of 2 to train on" in line_of(there, "prompts to validate SFT on")
    few = line_of(told([row(1), row(2)], "sft.later_validation_prompts=3"), "prompts to validate SFT on")
    assert few.startswith("✗") and "of the training prompts a verifier judges 2; lower it" in few
    assert not [line for line in told([row(1)]) if "to validate SFT on" in line]


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
    policy = {"version": 0, "hub": "stages/00-prepare/policy", "stage": "00-prepare"}
    (stage / "manifest.json").write_text(json.dumps({"stage": "00-prepare", "result": {"policy": policy}}))
    print_plan(recipe)
    lines = capsys.readouterr().out.splitlines()
    assert next("done" in line for line in lines if "prepare data" in line)
    assert next("to do" in line for line in lines if "round 0 · RL" in line)


@pytest.mark.parametrize(
    ("there", "facts"),
    [
        (None, ["no such directory", "'polcy'"]),
        ([], ["no checkpoint", "no config.json and no *.safetensors", "hub's layout"]),
        (["stages/02-sft-r0/policy/config.json"], ["did you mean", "02-sft-r0/policy"]),
        (["config.json"], ["no *.safetensors"]),
    ],
)
def test_a_policy_that_is_not_there_is_told_as_such_and_its_tokenizer_not_asked(told, tmp_path, there, facts):
    (tmp_path / "polcy").mkdir()
    for name in there or ():
        (tmp_path / "run" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / name).write_text("{}")
    (tmp_path / "run").mkdir(exist_ok=True)
    lines = told([row(1)], f"model.path={'policy' if there is None else 'run'}")
    line = line_of(lines, "policy to start from")
    assert line.startswith("✗") and all(fact in line for fact in facts), line
    assert not any("thoughts begin" in line for line in lines)


def test_sizes_of_a_tiny_model_are_checked_before_one_is_made(capsys):
    sizes = "model.tiny={hidden_size: 192, expert_size: 96}"
    assert not print_plan(load_recipe("digits_try", [sizes]))
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "policy to start from" in line]
    assert line.startswith("✗") and "choose another than 96 for hidden_size 192" in line


def test_teachers_of_nobody_are_told_before_the_run(told):
    lines = told(
        [row(1)], "distillation.teachers={al: 02-sft-r0}", "program.function=recipes.programs.distill:program"
    )
    assert line_of(lines, "what teachers teach").startswith("✗")


def test_options_of_a_builder_are_checked_before_it_is_called(capsys):
    assert not print_plan(load_recipe("digits_try", ["data.builder_options.num_train_promts=4"]))
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "num_train_promts" in line]
    assert "num_train_prompts" in line and line.startswith("✗ data builder")


def test_values_that_a_builder_refuses_are_told_before_it_is_called(capsys):
    assert not print_plan(load_recipe("gym_cpu", ["data.builder_options.exercises={clok: 1}"]))
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "clok" in line]
    assert line.startswith("✗ data builder") and "did you mean 'clock'?" in line


@pytest.mark.parametrize(
    ("override", "why"),
    [
        ("rl.loss.options.clip_ratio=5", "did you mean 'clip_ratio_c'?"),
        ("rl.reward_weights.choise=1", "did you mean 'choice'?"),
    ],
)
def test_settings_that_the_algorithm_has_not_are_told(told, override, why):
    line = line_of(told([row(1), row(2)], override), "the algorithm and its settings")
    assert line.startswith("✗") and why in line
