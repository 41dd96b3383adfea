"""Recipe files: what is merged over what, and one clear line for everything that can be wrong."""

from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, model_validator

from recipes.settings.recipe_file import RECIPES, dump_recipe, find_recipe, load_recipe, load_settings
from verifiers.errors import BadInput


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Schedule(Section):
    lr: float = Field(gt=0)
    min_lr: float = 0.0


class Stage(Section):
    steps: int = Field(10, ge=1)
    mode: Literal["base", "previous"] = "base"
    schedule: Schedule = Schedule(lr=1e-3, min_lr=1e-5)
    limit: Schedule | None = None


class Data(Section):
    path: str
    options: dict[str, Any] = Field(default_factory=dict)


class Small(Section):
    name: str
    run_dir: str = "runs/${name}"
    sizes: tuple[int, ...] = (1, 4)
    data: Data
    stage: Stage = Stage()

    @model_validator(mode="after")
    def _fits(self) -> "Small":
        if self.stage.steps > 100:
            raise ValueError("stage.steps is at most 100 here")
        return self


@pytest.fixture
def recipe(tmp_path):
    """Writes YAML into a file of the test's folder and loads it."""

    def load(text: str, *overrides: str, name: str = "small.yaml", model=Small):
        (tmp_path / name).write_text(text)
        return load_settings(tmp_path / name, overrides, model)

    return load


GOOD = "name: x\ndata: {path: a.parquet}\n"


def test_defaults_file_and_overrides_in_this_order(recipe):
    assert recipe(GOOD) == Small(name="x", run_dir="runs/x", data=Data(path="a.parquet"))
    assert recipe(GOOD + "stage: {steps: 20}").stage.steps == 20
    assert recipe(GOOD + "stage: {steps: 20}", "stage.steps=30", "stage.steps=40").stage.steps == 40


def test_a_section_keeps_the_defaults_that_its_parent_gives_it(recipe):
    """pydantic alone would fall back on the class's own min_lr of 0."""
    assert recipe(GOOD, "stage.schedule.lr=1e-2").stage.schedule == Schedule(lr=1e-2, min_lr=1e-5)


def test_interpolation_sees_defaults_overrides_and_the_environment(recipe, monkeypatch):
    monkeypatch.setenv("HONE_TEST_DATA", "b.parquet")
    loaded = recipe(
        "name: ${data.path}-${stage.steps}\ndata: {path: '${oc.env:HONE_TEST_DATA}'}", "stage.steps=7"
    )
    assert (loaded.name, loaded.run_dir) == ("b.parquet-7", "runs/b.parquet-7")


def test_a_recipe_inherits_from_its_base(recipe, tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "root.yaml").write_text(
        "name: root\ndata: {path: a, options: {seed: 1, size: 2}}\nstage: {steps: 5}"
    )
    (tmp_path / "deep" / "middle.yaml").write_text("base: ../root.yaml\nname: middle\n")
    loaded = recipe("base: deep/middle.yaml\ndata: {options: {seed: 9}}")
    assert loaded == Small(
        name="middle",
        run_dir="runs/middle",
        data=Data(path="a", options={"seed": 9, "size": 2}),
        stage=Stage(steps=5),
    )


def test_a_mapping_and_a_list_take_each_others_place(recipe, tmp_path):
    (tmp_path / "first.yaml").write_text("name: x\ndata: {path: a, options: {drawn: [a, b], by: {a: 1}}}\n")
    base = "base: first.yaml\n"
    for text, overrides in (
        (base + "data: {options: {drawn: {a: 2}, by: [c]}}", ()),
        (base, ("data.options.drawn={a: 2}", "data.options.by=[c]")),
    ):
        assert recipe(text, *overrides).data.options == {"drawn": {"a": 2}, "by": ["c"]}


def test_an_empty_mapping_empties_what_was_before(recipe, tmp_path):
    """A mapping merges key by key; a section that is given empty keeps what it has."""
    (tmp_path / "first.yaml").write_text(
        "name: x\ndata: {path: a, options: {one: 1, two: {three: 3}}}\nstage: {steps: 20}\n"
    )
    base = "base: first.yaml\n"
    assert recipe(base, "data.options.two={}").data.options == {"one": 1, "two": {}}
    assert recipe(base + "data: {options: {four: 4}}").data.options == {
        "one": 1,
        "two": {"three": 3},
        "four": 4,
    }
    for text, overrides in ((base + "data: {options: {}}", ()), (base, ("data.options={}",))):
        assert recipe(text, *overrides).data.options == {}
        assert recipe(text, *overrides, "data.options.four=4").data.options == {"four": 4}
    for text, overrides in ((base + "stage: {}\ndata: {}", ()), (base, ("stage={}", "data={}"))):
        assert recipe(text, *overrides) == recipe(base)


def test_a_path_that_lies_beside_the_recipe_is_named(tmp_path, monkeypatch):
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "own.yaml").write_text(
        "name: x\ndata: {train_prompts: sets/train.jsonl, heldout_prompts: owner/heldout}\n"
    )
    monkeypatch.chdir(tmp_path)
    assert (
        load_recipe("task/own.yaml").data.train_prompts == "sets/train.jsonl"
    )  # said later: there is none at all
    (tmp_path / "task" / "sets").mkdir()
    (tmp_path / "task" / "sets" / "train.jsonl").touch()
    with pytest.raises(
        BadInput, match=r"data.train_prompts=sets/train.jsonl: not there; .*: task/sets/train.jsonl$"
    ):
        load_recipe("task/own.yaml")
    monkeypatch.chdir(tmp_path / "task")
    assert load_recipe("own.yaml").data.train_prompts == "sets/train.jsonl"


def test_dump_and_load_give_an_equal_recipe(recipe):
    loaded = recipe(GOOD, "stage.limit.lr=3e-7", "sizes=[2,3]", "data.options={a: {b: [1, null, 'x: y']}}")
    assert recipe(dump_recipe(loaded), name="again.yaml") == loaded
    assert "min_lr: 1.0e-05" in dump_recipe(loaded)


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        (GOOD, ["stage.stepz=3"], "override 'stage.stepz=3': unknown key 'stage.stepz'; did you mean 'stage.steps'?"),
        (GOOD + "stage: {stepz: 3}", [], "small.yaml: unknown key 'stage.stepz'; did you mean 'stage.steps'?"),
        (GOOD, ["stage.limit.lr=1", "stage.limit.minlr=1"], "; did you mean 'stage.limit.min_lr'?"),
        (GOOD + "nonsense: 3", [], "unknown key 'nonsense' (keys: name, run_dir, sizes, data, stage; `hone recipe"),
        (GOOD, ["stage.foo=3"], "(keys: steps, mode, schedule, limit; `hone recipe keys stage` "),
        (GOOD + "stage: {min_lr: 0}", [], "did you mean 'stage.schedule.min_lr' or 'stage.limit.min_lr'?"),
        (GOOD, ["stage.minimal_lr=0"], "unknown key 'stage.minimal_lr'; did you mean 'stage.limit.min_lr'?"),
        (GOOD, ["stage.schedule.mode=base"], "unknown key 'stage.schedule.mode'; did you mean 'stage.mode'?"),
        ("nmae: x\ndata: {path: a}", [], "unknown key 'nmae'; did you mean 'name'? (and 1 more)"),
        (GOOD, ["stage.steps=many"], "override 'stage.steps=many': key 'stage.steps' is 'many': it should be"),
        (GOOD + "stage: {steps: 1.5}", [], "small.yaml: key 'stage.steps' is 1.5: it should be a valid integer"),
        (GOOD, ["stage.steps=0"], "key 'stage.steps' is 0: it should be greater than or equal to 1"),
        (GOOD, ["stage=3"], "key 'stage' is 3: it should be"),
        (GOOD, ["name.x=3"], "override 'name.x=3': key 'name' is {'x': 3}: it should be a valid string"),
        (GOOD, ["stage.mode=bse"], "it should be 'base' or 'previous'"),
        (GOOD, ["stage.steps=101"], "small.yaml: stage.steps is at most 100 here"),
        ("data: {path: a}", [], "small.yaml: key 'name' is required and not given"),
        ("name: x", [], "key 'data.path' is required and not given"),
        ("", [], "key 'name' is required and not given"),
        ("just text", [], "unknown key 'just text'"),
        ("- 1", [], "a recipe is a mapping of keys, got a list"),
        ("3", [], "cannot be read as a recipe"),
        ("name: [1,\nb: }\n", [], "small.yaml, line 2: not valid YAML"),
        ("name: x\nname: y\n", [], "small.yaml, line 2: not valid YAML: found duplicate key name"),
        (GOOD + "run_dir: ${nope}", [], "key 'run_dir': Interpolation key 'nope' not found"),
        (GOOD + "run_dir: ${", [], "key 'run_dir': "),
        (GOOD, ["stage.steps"], "override 'stage.steps' is not of the form key=value"),
        (GOOD, ["=3"], "override '=3' is not of the form key=value"),
        (GOOD, ["stage..steps=3"], "override 'stage..steps=3' is not of the form key=value"),
        (GOOD, ["sizes=[1"], "override 'sizes=[1': the value is not valid YAML"),
        (GOOD + "base: 3", [], "base is the path of one recipe, got 3"),
        (GOOD + "base: small.yaml", [], "recipes are each other's base: small.yaml"),
        (GOOD + "base: smal.yaml", [], "no recipe 'smal.yaml': no such file, nor one in recipes/; did you"),
        (GOOD + "base: no/small.yaml", [], "there is no directory"),
    ],
)  # fmt: skip
def test_each_mistake_is_one_clear_line(recipe, text, overrides, message):
    with pytest.raises(BadInput) as caught:
        recipe(text, *overrides)
    told = str(caught.value)
    assert message in told
    assert "\n" not in told
    assert len(told) < 400


def test_a_file_that_is_not_text(tmp_path):
    (tmp_path / "small.yaml").write_bytes(b"name: \xff")
    with pytest.raises(BadInput, match=r"small\.yaml: cannot be read as a recipe"):
        load_settings(tmp_path / "small.yaml", [], Small)


def test_a_bare_name_is_looked_up_beside_and_in_recipes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(GOOD)
    assert find_recipe("mine").name == "mine.yaml"
    for shipped in RECIPES.glob("*.yaml"):
        assert find_recipe(shipped.stem) == shipped
    with pytest.raises(BadInput, match=r"no recipe 'mnie': .*did you mean 'mine\.yaml'"):
        find_recipe("mnie")
    with pytest.raises(BadInput, match="is a directory"):
        find_recipe(tmp_path)


def test_every_shipped_recipe_loads_and_round_trips(tmp_path):
    from rl.recipe.recipe import Recipe, RewardRecipe

    for shipped in RECIPES.glob("*.yaml"):
        model = RewardRecipe if "_reward" in shipped.stem else Recipe
        loaded = load_settings(shipped, [], model)
        (tmp_path / "again.yaml").write_text(dump_recipe(loaded))
        assert load_settings(tmp_path / "again.yaml", [], model) == loaded


def test_seed_vl_has_the_published_values():
    """Seed1.5-VL (2505.07062), sections 4 and 5.2."""
    recipe = load_recipe("seed_vl")
    rl, sft, critic = recipe.rl, recipe.sft, recipe.critic
    assert (sft.epochs, sft.pack_tokens, sft.batch_size, sft.start_from) == (2, 131072, 16, "base")
    assert (sft.schedule.lr, sft.schedule.min_lr, sft.schedule.warmup_frac) == (2e-5, 2e-6, 0.1)
    assert (recipe.trainer.adam_betas, recipe.trainer.weight_decay) == ((0.9, 0.95), 0.1)
    assert recipe.trainer.freeze_vision
    assert (rl.rollouts_per_step, rl.num_mini_batches, rl.rollouts_per_step // rl.num_mini_batches) == (
        4096,
        8,
        512,
    )
    assert (rl.samples_per_general_prompt, rl.samples_per_prompt) == (1, 8)
    assert (recipe.data.max_prompt_tokens, rl.max_response_tokens) == (8192, 16384)
    assert (rl.loss.clip_low, rl.loss.clip_high) == (0.2, 0.2)
    assert (rl.loss.kl_coef_general, rl.loss.kl_coef_verifiable) == (1e-5, 0)
    assert (rl.schedule.lr, critic.schedule.lr) == (6e-7, 7.5e-7)
    assert (critic.pretrain_steps, critic.settle_window) == (100, 0)
    assert critic.init_from == recipe.judging.reward_model.path
    assert (recipe.harvest.probe_samples, recipe.harvest.min_pass_frac, recipe.harvest.max_pass_frac) == (
        16,
        0,
        0.75,
    )
    assert recipe.program.rounds == 4


def test_the_real_recipe_model(tmp_path):
    (tmp_path / "real.yaml").write_text("name: real\ndata: {builder: 'recipes.digits:build_digits'}\n")
    loaded = load_recipe(tmp_path / "real.yaml", ["sft.schedule.lr=1e-3"])
    assert (loaded.run_dir, loaded.sft.schedule.lr, loaded.sft.schedule.min_lr) == ("runs/real", 1e-3, 2e-6)
    with pytest.raises(
        BadInput, match=r"unknown key 'rl\.loss\.clip_hgih'; did you mean 'rl\.loss\.clip_high'"
    ):
        load_recipe(tmp_path / "real.yaml", ["rl.loss.clip_hgih=0.3"])
    for wrong, meant in (("rl.kl_coef_general", "rl.loss.kl_coef_general"), ("rl.loss.steps", "rl.steps")):
        with pytest.raises(BadInput, match=f"unknown key '{wrong}'; did you mean '{meant}'"):
            load_recipe(tmp_path / "real.yaml", [f"{wrong}=1"])


some_key = st.sampled_from(["stage", "sizes", "data.options.a", "stage.schedule.lr"])
some_override = st.text(max_size=30) | st.builds("{}={}".format, some_key, st.text(max_size=20))


@settings(max_examples=150, deadline=None)
@given(override=some_override)
def test_hostile_overrides_raise_nothing_but_bad_input(tmp_path_factory, override):
    file = tmp_path_factory.getbasetemp() / "hostile.yaml"
    file.write_text(GOOD)
    try:
        loaded = load_settings(file, [override], Small)
    except BadInput as why:
        message = str(why)
    else:
        message = loaded.name
    assert "\n" not in message


def test_another_builder_takes_none_of_the_options_of_the_one_before(tmp_path):
    own = tmp_path / "own.yaml"
    text = "base: digits_cpu\ndata:\n  builder: recipes.gym:build_gym\n  builder_options: {exercises: {clock: 2}}\n"
    own.write_text(text)
    assert load_recipe(own, []).data.builder_options == {"exercises": {"clock": 2}}
    own.write_text("base: digits_cpu\ndata: {builder_options: {max_digits: 2}}\n")
    options = load_recipe(own, []).data.builder_options
    assert options["max_digits"] == 2 and options["num_train_prompts"] == 4000
    by_hand = load_recipe("digits_cpu", ["data.builder=recipes.gym:build_gym", "data.builder_options.seed=3"])
    assert by_hand.data.builder_options == {"seed": 3}
