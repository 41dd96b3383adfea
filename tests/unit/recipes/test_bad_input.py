"""Bad input to `hone run`: one clear line, exit status 2, no traceback, and before any engine starts."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from recipes import cli
from recipes.cli import REPOSITORY
from recipes.digits.builder import build_digits
from rl.run.run_directory import RunDirectory
from sampler.data.prompt_dataset import load_prompts

TINY = REPOSITORY / "tests" / "data" / "tiny_program.yaml"


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Small sets of prompts that are right, as Parquet."""
    return build_digits(
        tmp_path_factory.mktemp("sets"), num_train_prompts=8, num_heldout_prompts=4, num_cold_start_rows=8,
        question_types=["count"],
    )  # fmt: skip


@pytest.fixture
def refused(tmp_path, capfd, monkeypatch):
    """Runs `hone run` in this process up to the first engine and returns the one line it was refused with."""
    monkeypatch.delenv("HONE_DEBUG", raising=False)

    def engines_start(*_: object) -> None:
        raise AssertionError("an engine was about to start")

    def run(*arguments: object, status: int = 2) -> str:
        from rl.engines.engines import Engines

        monkeypatch.setattr(Engines, "start", engines_start)
        monkeypatch.setattr(Engines, "warm_up", lambda *_: None)  # it holds nothing up, and starts Ray
        assert cli.main(["run", *map(str, arguments), f"run_dir={tmp_path / 'run'}"]) == status
        told = capfd.readouterr().err
        assert told.startswith("hone: error: ")
        assert told.count("\n") == 1
        assert len(told) < 600
        return told

    return run


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digits_cpu", "rl.stepz=3"], "unknown key 'rl.stepz'; did you mean 'rl.steps'?"),
        (["digits_cpu", "rl.steps=many"], "key 'rl.steps' is 'many': it should be a valid integer"),
        (["digits_cpu", "rl.steps=0"], "it should be greater than or equal to 1"),
        (["digits_cpu", "rl.steps"], "override 'rl.steps' is not of the form key=value"),
        (["digits_gpu"], "no recipe 'digits_gpu': no such file, nor one in recipes/; did you mean 'digits_cpu.yaml'?"),
        (["digits_cpu", "name=a/b"], "key 'name' is 'a/b'"),
        (["digits_cpu", "data.builder=null"], "give data.builder, or both data.train_prompts and data.heldout_prompts"),
        (["digits_cpu", "rl.prompts_per_step=4", "rl.num_mini_batches=8"], "prompts_per_step=4 is less than rl.num"),
        (["digits_cpu", "rl.rollouts_per_step=32", "rl.num_mini_batches=8"], "may be 4 prompts, which is less than rl"),
        (["digits_cpu", "distillation.prompts_per_step=2"], "distillation.prompts_per_step=2 is less than dist"),
    ],
)  # fmt: skip
def test_recipes(refused, arguments, message, tmp_path):
    assert message in refused(*arguments)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.builder=recipes.digitz:build", "data.builder 'recipes.digitz:build': No module named 'recipes.digitz'"),
        ("data.builder=recipes.digits:build_digit", "no function 'build_digit' in recipes.digits; did you mean"),
        ("data.builder=recipes.digits", "is not of the form package.module:function"),
        ("data.builder=:build", "is not of the form package.module:function"),
        ("data.builder_options.num_trian_prompts=3", "num_trian_prompts' of recipes.digits:build_digits; did you mean"),
        ("data.builder_options.num_train_prompts=lots", "key 'data.builder_options.num_train_prompts' is 'lots': it"),
        ("data.builder_options.question_types=[cuont]", "unknown question type 'cuont'; did you mean 'count'?"),
        ("model.path=/nowhere/at/all", "/nowhere/at/all: there is no such directory; a policy is a checkpoint on disk"),
        ("model.family=qwen9", "unknown model family 'qwen9'; known: qwen3_vl_moe"),
        ("model.family=rl.families.nothing:Family", "cannot be imported from 'rl.families.nothing:Family'"),
        ("model.tiny.num_leyers=3", "num_leyers"),
        ("rl.advantage=grppo", "rl.advantage='grppo' is unknown; did you mean 'grpo'? (known: "),
        ("rl.advantage=remax", "rl.advantage='remax' needs reward_baselines"),
        ("rl.lambda_actor=adaptive", "rl.lambda_actor: 'adaptive' is neither a number from 0 to 1 nor length_adaptive"),
        ("sft.later_lr=1e-7", "later_lr=1e-07 is below schedule.min_lr="),
        ("rl.later_lr=1e-7", "later_lr=1e-07 is below schedule.min_lr="),
        ("rl.reward_weights.nunber=2", "rl.reward_weights: 'nunber' is no kind of prompt and no verifier; did you"),
        ("rl.loss.policy_loss=vanila", "rl.loss.policy_loss='vanila' is unknown; did you mean 'vanilla'? (known: "),
        ("rl.samples_per_prompt=1", "rl.samples_per_prompt must be at least 2"),
        ("sampler.max_model_len=12", "rl.max_response_tokens=12 leaves no room for a prompt"),
        ("sampler.max_model_len=20", "train prompts too long: raise"),
        ("data.max_prompt_tokens=3", "all 40 train prompts too long: raise data.max_prompt_tokens"),
    ],
)  # fmt: skip
def test_what_a_recipe_names(refused, override, message):
    assert message in refused(TINY, override)


def test_a_refused_recipe_can_be_mended_in_the_same_run(refused):
    """Until data is prepared nothing was done under the old recipe."""
    refused(TINY, "rl.advantage=grppo")
    assert "rl.loss.policy_loss='vanila'" in refused(TINY, "rl.loss.policy_loss=vanila")


def own_sets(sets, **changed: Path) -> list[str]:
    """Overrides for a run on files."""
    paths = {"train_prompts": sets["train"], "heldout_prompts": sets["heldout"], **changed}
    return ["data.builder=null", *(f"data.{name}={path}" for name, path in paths.items())]


def rows_with(sets, folder: Path, number: int, **changed: object) -> Path:
    """The train prompts as JSONL with one row changed; pictures as files beside it."""
    lines = []
    for location, prompt in enumerate(load_prompts(sets["train"]), 1):
        picture = folder / f"{location}.png"
        picture.write_bytes(prompt.images[0].read())
        row = {
            "messages": prompt.messages, "images": [picture.name], "verifier": prompt.verifier,
            "reference": prompt.reference,
        }  # fmt: skip
        row.update(changed if location == number else {})
        lines.append(json.dumps({name: value for name, value in row.items() if value is not None}))
    file = folder / "prompts.jsonl"
    file.write_text("\n".join(lines))
    return file


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"reference": None}, "line 3, column 'reference': there is no such column"),
        ({"reference": " "}, "line 3, column 'reference': the reference is empty"),
        ({"reference": "many"}, "line 3, column 'reference': a reference of 'number' is one number"),
        ({"verifier": "nummber"}, "line 3, column 'verifier': unknown verifier 'nummber'; did you mean 'number'?"),
        ({"verifier": "nowhere.at_all:It"}, "line 3, column 'verifier': verifier 'nowhere.at_all:It' cannot be"),
        ({"verifier_options": {"rel_toll": 1}}, "line 3, column 'verifier_options'"),
        ({"images": ["broken.png"]}, "line 3, column 'images': image 1 of 1: the picture is not PNG"),
        ({"images": ["cut.png"]}, "line 3, column 'images': image 1 of 1: the picture does not decode"),
        ({"images": ["4.pmg"]}, "image 1 of 1: no such picture file: '4.pmg'; did you mean '4.png'?"),
        ({"images": []}, "line 3, column 'messages'"),
        ({"messages": []}, "line 3, column 'messages'"),
        ({"kind": "verifyable"}, "line 3, column 'kind': kind is verifiable or general, got 'verifyable'"),
    ],
)  # fmt: skip
def test_rows_of_a_data_set(refused, sets, tmp_path, changed, message):
    file = rows_with(sets, tmp_path, 3, **changed)
    (tmp_path / "broken.png").write_bytes(b"this is no picture")
    whole = (tmp_path / "1.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    if "verifier_options" in changed:
        message = "has no option 'rel_toll'; did you mean 'rel_tol'?"
    assert message in refused(TINY, *own_sets(sets, train_prompts=file))


def test_files_of_a_data_set(refused, sets, tmp_path):
    missing = tmp_path / "prompts.parquet"
    assert f"no such file: {missing}" in refused(TINY, *own_sets(sets, train_prompts=missing))
    missing.write_bytes(b"")
    assert "not a readable Parquet file" in refused(TINY, *own_sets(sets, train_prompts=missing))
    leaked = refused(TINY, *own_sets(sets, train_prompts=sets["heldout"]))
    assert "4 held-out prompts also trained on, first " in leaked
    rows = refused(TINY, *own_sets(sets), f"data.cold_start={sets['train']}")
    assert "column 'response': a supervised row needs the response to learn" in rows


def test_checkpoints_of_another_kind(refused, sets, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    arguments = [TINY, *own_sets(sets), f"model.path={model}"]
    assert "it has no config.json" in refused(*arguments)
    (model / "config.json").write_text("not json")
    assert "it has no *.safetensors" in refused(*arguments)
    (model / "model.safetensors").write_bytes(b"")
    assert "model.safetensors is cut or damaged" in refused(*arguments)
    save_file({"weight": np.zeros(1, np.float32)}, model / "model.safetensors")
    assert "its config.json is not a JSON object" in refused(*arguments)
    (model / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"]}))
    assert "is a LlamaForCausalLM, but model.family=qwen3_vl_moe wants Qwen3VLMoe" in refused(*arguments)
    right = {"model_type": "qwen3_vl_moe", "architectures": ["Qwen3VLMoeForConditionalGeneration"]}
    (model / "config.json").write_text(json.dumps(right))
    assert "cannot be loaded: " in refused(*arguments)


def test_weights_that_are_cut_are_named(refused, sets, hub, tmp_path):
    """As a copy leaves them that was interrupted, or a disk that was full."""
    model = tmp_path / "model"
    shutil.copytree(hub, model)
    weights = model / "model.safetensors"
    os.truncate(weights, weights.stat().st_size - 1)
    assert f"{weights} is cut or damaged" in refused(TINY, *own_sets(sets), f"model.path={model}")


def test_a_run_keeps_its_recipe_and_has_one_process(refused, tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.open("name: x\nseed: 1\n")
    assert "another process is working in run: wait for it, or give another name=" in refused(TINY)
    run.stage("00-prepare").begin()
    (run.stage("00-prepare").path / "manifest.json").write_text("{}")
    run.close()
    said = refused(TINY)
    assert (
        "was started with another recipe (name was x and is now tiny_program; seed was 1 and is now 3; "
        in said
    )
    assert "a run that was moved is named by run_dir= alone" in said


def test_long_prompts_are_counted_and_dropped(sets, tmp_path, capfd):
    """The rule at load; a second one in the sampler counts what is longer only to the engine."""
    from rich.console import Console

    from recipes.settings.recipe_file import dump_recipe, load_recipe
    from rl.program import PrepareStage, run_program
    from rl.run.progress import ProgressDisplay
    from rl.runner import StageRunner

    read = []

    def only_prepared(runner):
        runner(PrepareStage())
        if isinstance(runner, StageRunner):  # not the dry run, by which the run counts its stages
            read.append(runner.data)

    long = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "How many? " * 40}]}]
    file = rows_with(sets, tmp_path, 3, messages=long)
    recipe = load_recipe(TINY, own_sets(sets, train_prompts=file))
    run = RunDirectory(tmp_path / "run")
    for _ in range(2):  # prepared, then read again
        with ProgressDisplay(Console()) as display:
            run.open(dump_recipe(recipe))
            run_program(recipe, run, display, only_prepared)
            run.close()
    for data in read:
        assert (len(data.train), len(data.heldout)) == (7, 4)
        assert not any(len(prompt.text) > 100 for prompt in data.train)
    assert len(read) == 2
    result = run.stage("00-prepare").manifest()["result"]
    assert result["num_train_prompts"] == 7
    assert (len(result["too_long"]["prompt_ids"]), result["too_long"]["limit_tokens"]) == (1, 64)
    assert "1 prompt over 64 tokens dropped" in capfd.readouterr().out


def test_engine_errors_are_one_line_with_the_traceback_in_the_log(tmp_path, capfd, monkeypatch, sets):
    from rl.engines.engines import Engines
    from verifiers.errors import HoneError

    class RayTaskError(Exception):
        cause: Exception | None = None

    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(Engines, "start", fails)
    arguments = ["run", str(TINY), *own_sets(sets), f"run_dir={tmp_path / 'run'}"]
    log = tmp_path / "run" / "logs" / "driver.log"

    error: Exception = RayTaskError("ray::TrainerRank.update()\n  File ...\nMemoryError: out\nof memory")
    assert cli.main(arguments) == 1
    told = capfd.readouterr().err
    assert (
        told.startswith("hone: error: RayTaskError: ray::TrainerRank.update() File") and told.count("\n") == 1
    )
    assert str(log) in told and "Traceback" not in told
    assert "Traceback" in log.read_text() and "MemoryError: out" in log.read_text()

    error = RayTaskError("...")
    error.cause = HoneError("the weight sync did not take")
    assert cli.main(arguments) == 1
    assert capfd.readouterr().err == "hone: error: the weight sync did not take\n"

    monkeypatch.setenv("HONE_DEBUG", "1")
    with pytest.raises(HoneError, match="did not take"):
        cli.main(arguments)


def test_from_a_shell_it_is_quick_and_quiet(tmp_path):
    """As a user meets it. No engine's module is imported for a recipe that is wrong."""
    code = (
        "import sys\nfrom recipes.cli import main\nstatus = main(sys.argv[1:])\n"
        "heavy = sorted({'torch', 'ray', 'vllm', 'verl', 'deepspeed'} & set(sys.modules))\n"
        "print(f'{status} {heavy}')"
    )
    environment = {**os.environ, "HONE_DEBUG": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code, "run", "digits_cpu", "rl.stepz=1", f"run_dir={tmp_path}/r"],
        cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.stdout == "2 []\n"
    assert (
        done.stderr.startswith("hone: error: override 'rl.stepz=1': unknown key")
        and done.stderr.count("\n") == 1
    )


def test_more_tokens_than_the_model_has_positions(refused):
    told = refused(TINY, "sampler.max_model_len=1280", "model.tiny.max_positions=1024")
    assert "sampler.max_model_len=1280 is more than the 1024 positions of the model: lower it" in told
