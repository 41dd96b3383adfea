"""What a command leaves behind when it ends: nothing where nothing was said, the logs where they help."""

import sys
import tempfile

import pytest

from recipes.settings.recipe_file import load_recipe
from rl.run.boundary.engine_failure import EngineFailure
from rl.run.boundary.output import command_log, scratch_with_logs
from verifiers.errors import BadInput


def test_an_empty_log_goes_with_the_directories_made_for_it(tmp_path):
    with pytest.raises(BadInput), command_log(tmp_path / "runs" / "x" / "logs" / "doctor.log"):
        raise BadInput("a row is wrong")
    assert not (tmp_path / "runs").exists()
    (tmp_path / "runs" / "x").mkdir(parents=True)
    with command_log(tmp_path / "runs" / "x" / "logs" / "doctor.log"):
        pass
    assert not list((tmp_path / "runs" / "x").iterdir())


def test_a_log_that_says_something_is_kept_and_named(tmp_path):
    log = tmp_path / "x" / "logs" / "doctor.log"
    with pytest.raises(EngineFailure, match=str(log)), command_log(log):
        raise RuntimeError("out of memory")
    assert "out of memory" in log.read_text()


def test_scratch_keeps_its_logs_when_an_engine_fails_and_else_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for error, left in ((BadInput("no"), []), (RuntimeError("engine"), ["driver.log", "logs"])):
        with (
            pytest.raises((BadInput, EngineFailure)),
            scratch_with_logs("hone-test-") as scratch,
            command_log(scratch / "logs" / "driver.log"),
        ):
            (scratch / "data").mkdir()
            raise error
        assert sorted(path.name for path in tmp_path.glob("hone-test-*/**/*")) == left
        assert bool(list(tmp_path.glob("hone-test-*"))) == bool(left)


def test_a_benchmark_whose_data_are_wrong_leaves_nothing_and_the_terminal_as_it_was(tmp_path, monkeypatch):
    from recipes.benchmarks.workload import Workload

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    recipe = load_recipe(
        "digits_cpu", ["data.builder=null", "data.train_prompts=no.jsonl", "data.heldout_prompts=no.jsonl"]
    )
    stdout = sys.stdout
    with pytest.raises(BadInput, match=r"no such file: no\.jsonl"), Workload.of(recipe):
        raise AssertionError("it has no data")
    assert sys.stdout is stdout
    assert not list(tmp_path.iterdir())
