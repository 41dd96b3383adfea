"""`hone status`: a run that works, was killed, is complete or is none, told from its files."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from recipes.cli import main
from recipes.commands.output.out_file import OF_A_RUN
from recipes.commands.output.run_standing import RunStanding
from recipes.settings.recipe_file import dump_recipe, load_recipe
from rl.algorithm.loss.losses import SFT_LOSS, LossSpec
from rl.data.batch import Batch
from rl.fakes import FakeTrainer, fake_engines
from rl.program import run_program
from rl.recipe.recipe import Recipe
from rl.run.progress import ProgressDisplay
from rl.run.progress_file import FILE, ToldProgress, telling
from rl.run.run_directory import RunDirectory, hold, is_held

DATA = Path(__file__).parents[3] / "data"


class Killed(BaseException):
    """As a kill: nothing between handles it."""


class MortalTrainer(FakeTrainer):
    """Is killed in its third optimizer step of RL."""

    lives = 3

    def step(self, batch: Batch, rate: float, loss: LossSpec) -> Any:
        self.lives -= loss.name != SFT_LOSS
        if not self.lives:
            raise Killed
        return super().step(batch, rate, loss)


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return load_recipe(
        str(DATA / "tiny_program.yaml"),
        [f"run_dir={tmp_path / 'run'}", "program.rounds=1", "rl.prompts_per_step=4", "rl.num_mini_batches=1",
         "rl.max_response_tokens=40"],
    )  # fmt: skip


def begin(recipe: Recipe, trainer: FakeTrainer) -> None:
    run = RunDirectory(Path(recipe.run_dir))
    run.open(dump_recipe(recipe))
    try:
        display = ProgressDisplay(Console(quiet=True), live=False)
        run_program(recipe, run, display, make_engines=fake_engines(trainer=trainer))
    finally:
        run.close()


def test_a_run_that_was_killed_then_works_again_then_is_complete(
    recipe: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(recipe.run_dir)
    with pytest.raises(Killed):
        begin(recipe, MortalTrainer())
    assert main(["status", str(path)]) == 0
    *stages, step, heldout, last = capsys.readouterr().out.splitlines()
    assert [line[:3] for line in stages] == ["✓ 1", "✓ 2", "✓ 3", "✓ 4", "✗ 5", "· 6"]
    assert "round 0 · RL" in stages[4] and "about" in stages[5]  # as long as the evaluation before
    assert step.startswith("a step: ") and heldout.startswith("held-out pass@1: ")
    assert last.startswith(f"nothing is running in {path}: ") and last.endswith(
        "run the same command again to go on"
    )

    with hold(path, "wait"):
        standing = RunStanding.of(path)
        told = ToldProgress.of(path)
        assert told is not None and told.stage == "04-rl-r0"
        assert standing.stages[4].state == "at work" and f"process {told.pid}" in list(standing.lines())[-1]
        quiet = list(replace(standing, asked_at=told.told_at + 3600).lines())[-1]
        assert ("no step for 1 h 00 min" in quiet) == bool(told.step)

    taken_up = RunDirectory(path)
    taken_up.open((path / "recipe.yaml").read_text())
    assert ToldProgress.of(path) is None  # what the process that was killed told last
    taken_up.close()
    begin(recipe, FakeTrainer())
    assert not (path / FILE).exists()
    assert main(["status", str(path), "--json"]) == 0
    given = json.loads(capsys.readouterr().out)
    assert given["state"] == "complete" and {stage["state"] for stage in given["stages"]} == {"done"}
    assert given["left_s"] is None and given["taken_s"] > 0
    assert {one.name for one in path.iterdir()} <= OF_A_RUN  # no command writes over what a run leaves


def test_a_run_whose_program_is_not_here_shows_what_is_done(
    recipe: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(recipe, FakeTrainer())
    file = Path(recipe.run_dir) / "recipe.yaml"
    text = yaml.safe_load(file.read_text())
    text["program"]["function"] = "nowhere.at_all:program"
    file.write_text(yaml.safe_dump(text))
    assert main(["status", recipe.run_dir]) == 0
    assert capsys.readouterr().out.count("✓") == 6


def test_all_runs_have_a_line_each(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["status"]) == 0
    assert capsys.readouterr().out.startswith("no run in runs/")
    begin(recipe.model_copy(update={"run_dir": "runs/done"}), FakeTrainer())
    with pytest.raises(Killed):
        begin(recipe.model_copy(update={"run_dir": "runs/killed"}), MortalTrainer())
    (tmp_path / "runs" / "odd").mkdir()
    (tmp_path / "runs" / "odd" / "recipe.yaml").write_text("name: odd")
    assert main(["status"]) == 0
    said = capsys.readouterr()
    done, killed = said.out.splitlines()
    assert done.startswith("✓ runs/done ") and "complete, 6/6 stages" in done and "held-out pass@1: " in done
    assert killed.startswith("✗ runs/killed ") and "4/6 stages" in killed and "round 0 · RL" in killed
    assert "runs/odd cannot be read" in said.err
    assert main(["status", "--json"]) == 0
    objects = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["state"] for one in objects] == ["complete", "stopped"]


def test_what_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(tmp_path)]) == 2
    assert "is not a run directory" in capsys.readouterr().err


def test_progress_is_told_at_once_and_then_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    with ProgressDisplay(Console(quiet=True), live=False).stage("RL", total_steps=9) as progress:
        with telling(tmp_path, "04-rl", progress):
            for seconds, told_steps in ((1.0, 0), (1.0, 0), (4.0, 3), (1.0, 3)):
                now[0] += seconds
                progress.advance(reward=0.5)
                told = ToldProgress.of(tmp_path)
                assert told is not None and told.step == told_steps
            assert told.values == {"reward": 0.5} and told.total_steps == 9
        assert ToldProgress.of(tmp_path) is None
    (tmp_path / FILE).write_text('{"half')
    assert ToldProgress.of(tmp_path) is None


def test_who_looks_does_not_hold(tmp_path: Path) -> None:
    assert not is_held(tmp_path)
    with hold(tmp_path, "wait"):
        assert is_held(tmp_path)
    assert not is_held(tmp_path)
    hold(tmp_path, "wait").close()
