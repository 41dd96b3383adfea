"""The run on disk: what appears whole, what a kill leaves, who may work in it."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rl.run.provenance import content_hash
from rl.run.results.stage_result import PolicyState, RlResult, SftResult
from rl.run.run_directory import RunDirectory
from rl.run.stage_directory import CURSOR
from rl.run.stopwatch import Stopwatch
from rl.stages.checkpoint import StageCheckpoint
from rl.trainer.export import export_policy
from sampler.atomic_file import write_atomically
from verifiers.errors import BadInput, HoneError


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    run = RunDirectory(tmp_path / "run")
    run.open("name: a\nseed: 1\n")
    return run


def finish(stage: Any) -> dict[str, Any]:
    return stage.complete(
        RlResult(
            policy=PolicyState(5, stage.path / "policy", stage.name),
            reward_mean_last=0.5,
            mismatch_kl_max=0.0,
        ),
        title="round 0",
        round_index=0,
        started_at=0.0,
        watch=Stopwatch({"train": 2.0}),
        inputs={"policy": 1},
    )


def log(run: RunDirectory, stage: str, step: int, value: float = 0.0) -> None:
    run.metrics.append(
        stage=stage, kind="rl", round_index=0, step=step, metrics={"rollout/reward_mean": value}
    )


def steps(run: RunDirectory) -> list[tuple[str, int]]:
    lines = (run.path / "metrics.jsonl").read_text().splitlines()
    return [(read["stage"], read["step"]) for read in map(json.loads, lines)]


def test_a_run_that_was_moved_goes_on(run: RunDirectory, tmp_path: Path) -> None:
    finish(run.stage("03-rl-r0"))
    run.close()
    moved = RunDirectory((tmp_path / "run").rename(tmp_path / "elsewhere"))
    moved.open("name: a\nseed: 1\nrun_dir: elsewhere\n")
    policy = RlResult.of(moved.stage("03-rl-r0").manifest(), moved.path).policy
    assert policy.hub == tmp_path / "elsewhere" / "stages" / "03-rl-r0" / "policy"


def test_a_manifest_names_every_file_by_content(run: RunDirectory) -> None:
    stage = run.stage("03-rl-r0")
    stage.begin()
    assert not stage.is_complete
    (stage.path / "policy").mkdir()
    (stage.path / "policy" / "w.bin").write_bytes(b"weights")
    stage.rollouts.mkdir(parents=True)
    (stage.rollouts / "step-0.parquet").write_bytes(b"rollouts")
    written = finish(stage)
    assert stage.is_complete
    assert stage.manifest() == json.loads(json.dumps(written))
    assert written["outputs"] == {
        "rollouts/03-rl-r0/step-0.parquet": hashlib.sha256(b"rollouts").hexdigest(),
        "stages/03-rl-r0/policy/w.bin": hashlib.sha256(b"weights").hexdigest(),
    }
    assert (written["result"]["reward_mean_last"], written["phase_s"]) == (0.5, {"train": 2.0})
    assert written["packages"]["torch"]
    assert sorted(path.name for path in stage.path.iterdir()) == ["manifest.json", "policy"]


def test_a_damaged_manifest_is_an_error_that_says_what_to_do(run: RunDirectory) -> None:
    stage = run.stage("01-sft-r0")
    stage.begin()
    with pytest.raises(HoneError, match="cannot be read"):
        stage.manifest()
    (stage.path / "manifest.json").write_text('{"stage": "01')
    with pytest.raises(HoneError, match="delete the stage's directory"):
        stage.manifest()


def test_a_file_is_there_whole_or_as_it_was(tmp_path: Path) -> None:
    """Killed while writing, before the rename: the old content stands."""
    path = tmp_path / "file.json"
    write_atomically(path, "old")
    program = (
        "import os, pathlib, sys\n"
        "from sampler.atomic_file import write_atomically\n"
        "os.fsync = lambda _: os.kill(os.getpid(), 9)\n"
        f"write_atomically(pathlib.Path({str(path)!r}), 'new' * 1000)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], check=False)
    assert ended.returncode == -9
    assert path.read_text() == "old"
    write_atomically(path, "new")
    assert path.read_text() == "new"
    assert [each.name for each in tmp_path.glob("*.json")] == ["file.json"]


def test_begin_clears_what_a_kill_left_of_this_stage_alone(run: RunDirectory) -> None:
    for name in ("01-sft-r0", "02-rl-r0"):
        stage = run.stage(name)
        stage.begin()
        stage.rollouts.mkdir(parents=True)
        (stage.rollouts / "step-0.parquet").write_bytes(b"x")
        (stage.path / "half").write_bytes(b"x")
        log(run, name, 0)
    run.stage("02-rl-r0").begin()
    assert list(run.stage("02-rl-r0").path.iterdir()) == []
    assert not run.stage("02-rl-r0").rollouts.exists()
    assert (run.stage("01-sft-r0").path / "half").exists()
    assert (run.stage("01-sft-r0").rollouts / "step-0.parquet").exists()
    assert steps(run) == [("01-sft-r0", 0)]


def test_rewind_drops_what_came_after_the_checkpoint(run: RunDirectory) -> None:
    stage, other = run.stage("02-rl-r0"), run.stage("01-sft-r0")
    for each in (other, stage):
        each.begin()
        each.rollouts.mkdir(parents=True)
        for step in range(12):
            (each.rollouts / f"step-{step:05d}.parquet").write_bytes(b"x")
            log(run, each.name, step)
    stage.rewind(3)
    assert sorted(path.stem for path in stage.rollouts.iterdir()) == [
        "step-00000",
        "step-00001",
        "step-00002",
    ]
    assert len(list(other.rollouts.iterdir())) == 12
    assert steps(run) == [(other.name, step) for step in range(12)] + [
        (stage.name, step) for step in range(3)
    ]


def test_a_line_torn_by_a_kill_is_dropped(run: RunDirectory) -> None:
    log(run, "01-sft-r0", 0)
    log(run, "02-rl-r0", 0)
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"stage": "02-rl-r0", "kind": "rl", "st')
    run.stage("02-rl-r0").rewind(1)
    assert steps(run) == [("01-sft-r0", 0), ("02-rl-r0", 0)]
    log(run, "02-rl-r0", 1)
    assert steps(run) == [("01-sft-r0", 0), ("02-rl-r0", 0), ("02-rl-r0", 1)]


def test_what_a_killed_process_did_not_finish_is_gone(run: RunDirectory) -> None:
    run.close()
    for name in (".metrics.jsonl.77.tmp", ".report.html.78.tmp"):
        (run.path / name).write_text("half")
    (run.path / ".policy.tmp").symlink_to("stages/gone")
    again = RunDirectory(run.path)
    again.open("name: a\nseed: 1\n")
    again.close()
    assert [path.name for path in run.path.glob(".*.tmp")] == [".report.html.78.tmp"]


def test_one_process_at_a_time(run: RunDirectory) -> None:
    program = (
        "import pathlib, sys\n"
        "from rl.run.run_directory import RunDirectory\n"
        "from verifiers.errors import BadInput\n"
        "try:\n"
        f"    RunDirectory(pathlib.Path({str(run.path)!r})).open('name: a\\nseed: 1\\n')\n"
        "except BadInput as error:\n"
        "    print(error); sys.exit(2)\n"
    )
    refused = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (refused.returncode, "another process is working in run" in refused.stdout) == (2, True)
    run.close()
    let_in = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert let_in.returncode == 0, let_in.stderr


def test_another_recipe_is_refused_by_its_changes(run: RunDirectory) -> None:
    run.close()
    RunDirectory(run.path).open("name: a\nseed: 0\n")  # nothing is done yet: it may still be mended
    mended = RunDirectory(run.path)
    mended.open("name: a\nseed: 1\n")
    done = mended.stage("00-prepare")
    done.begin()
    finish(done)
    mended.close()
    with pytest.raises(BadInput, match="seed was 1 and is now 2"):
        RunDirectory(run.path).open("name: a\nseed: 2\n")
    with pytest.raises(BadInput, match="more was nothing and is now 3"):
        RunDirectory(run.path).open("name: a\nseed: 1\nmore: 3\n")
    many = "".join(f"key{number}: {number}\n" for number in range(6))
    with pytest.raises(
        BadInput, match=r"seed was 1 and is now 2; key0 .*key3 was nothing and is now 3; 2 more\)"
    ):
        RunDirectory(run.path).open("name: a\nseed: 2\n" + many)
    again = RunDirectory(run.path)
    again.open("name: a\nseed: 1\n")  # the refusals let the lock go
    again.close()


def test_a_key_that_changes_nothing_learnt_may_change(run: RunDirectory) -> None:
    """Where figures are shown; and the proof's tolerance, which runs before 2026-11-29 hold as 1e-4."""
    run.close()
    older = RunDirectory(run.path)
    older.open("name: a\nsync: {tolerance: 0.0001, prove: every_sync}\n")
    begun = older.stage("00-prepare")
    begun.begin()
    finish(begun)
    older.close()
    now = RunDirectory(run.path)
    now.open("name: a\nsync: {tolerance: null, prove: every_sync}\nmetrics: {tensorboard: true}\n")
    now.close()
    with pytest.raises(BadInput, match="prove was every_sync"):
        RunDirectory(run.path).open("name: a\nsync: {tolerance: null, prove: every_stage}\n")


def test_a_run_can_be_moved(tmp_path: Path) -> None:
    """Policies inside the run are kept relative to it, those outside as they are."""
    old, new = tmp_path / "old", tmp_path / "new"
    inside = PolicyState(3, old / "stages" / "x" / "policy", "x")
    manifest = {"stage": "x", "round": 0, "result_version": 1}
    kept = SftResult(policy=inside).to_json(old)
    assert kept["policy"] == inside.to_json(old) == {"version": 3, "stage": "x", "hub": "stages/x/policy"}
    moved = SftResult.of({**manifest, "result": kept}, new)
    assert moved.policy == PolicyState(3, new / "stages" / "x" / "policy", "x")
    outside = PolicyState(0, Path("/models/qwen"), "00-prepare")
    kept = SftResult(policy=outside).to_json(old)
    assert SftResult.of({**manifest, "result": kept}, new).policy == outside


def test_a_path_given_relative_does_not_follow_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = RunDirectory(Path("runs/a"))
    monkeypatch.chdir("/")
    assert run.path == tmp_path / "runs" / "a"


def test_stopwatch_adds_up_and_counts_what_fails() -> None:
    watch = Stopwatch()
    watch.add("train", 1.5)
    with pytest.raises(ValueError, match="x"), watch("train"):
        raise ValueError("x")
    assert 1.5 < watch.seconds["train"] < 2.0


class WeightsOnDisk:
    """Of a trainer what a checkpoint needs: it writes its one number, and reads it back."""

    value = 0

    def save_checkpoint(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        (directory / "state").write_text(str(self.value))

    def load_checkpoint(self, directory: Path) -> None:
        self.value = int((directory / "state").read_text())

    def export(self, directory: Path) -> None:
        (directory / "model.safetensors").write_text(str(self.value))


def test_checkpoints_of_a_stage_under_way(run: RunDirectory) -> None:
    trainer: Any = WeightsOnDisk()
    stage = run.stage("02-rl-r0")
    checkpoint = StageCheckpoint(stage, Stopwatch(), every_steps=2)
    assert checkpoint.resume(trainer) == 0
    for step in range(1, 6):
        trainer.value = step
        log(run, stage.name, step - 1)
        checkpoint.save(trainer, step)
    assert [path.name for path in stage.path.glob("checkpoint-*")] == ["checkpoint-4"]
    # Killed while the next one is written: the cursor still names the whole one before.
    (stage.path / "checkpoint-6").mkdir()
    fresh: Any = WeightsOnDisk()
    assert StageCheckpoint(run.stage("02-rl-r0"), Stopwatch(), every_steps=2).resume(fresh) == 4
    assert fresh.value == 4
    assert steps(run) == [("02-rl-r0", step) for step in range(4)]
    stage.drop_checkpoint()
    assert not list(stage.path.iterdir())


def test_what_a_stage_without_a_cursor_leaves_may_have_any_name(run: RunDirectory) -> None:
    stage = run.stage("02-rl-r0")
    (stage.path / "checkpoint-of-mine").mkdir(parents=True)
    (stage.path / "checkpoint-of-mine" / "best-one").touch()
    stage.drop_checkpoint()
    assert [*stage._outputs()] == ["stages/02-rl-r0/checkpoint-of-mine/best-one"]


@pytest.mark.parametrize("cut", ["checkpoint-2/state", "checkpoint-2", CURSOR])
def test_a_checkpoint_that_is_cut_is_named(run: RunDirectory, cut: str) -> None:
    """With what to delete; and then the stage begins anew."""
    trainer: Any = WeightsOnDisk()
    stage = run.stage("02-rl-r0")
    checkpoint = StageCheckpoint(stage, Stopwatch(), every_steps=2)
    checkpoint.resume(trainer)
    checkpoint.save(trainer, 2)
    path = stage.path / cut
    shutil.rmtree(path) if path.is_dir() else os.truncate(path, path.stat().st_size // 2)
    named = stage.path / ("checkpoint-2" if cut != CURSOR else CURSOR)
    with pytest.raises(
        HoneError, match=f"the checkpoint {named} cannot be read .*: delete {stage.path}, and"
    ):
        checkpoint.resume(trainer)
    shutil.rmtree(stage.path)
    assert checkpoint.resume(trainer) == 0


def test_no_checkpoints_unless_asked_for(run: RunDirectory) -> None:
    checkpoint = StageCheckpoint(run.stage("02-rl-r0"), Stopwatch(), every_steps=None)
    checkpoint.resume(WeightsOnDisk())  # type: ignore[arg-type]
    checkpoint.save(WeightsOnDisk(), 2)  # type: ignore[arg-type]
    assert list(run.stage("02-rl-r0").path.iterdir()) == []


def test_an_exported_policy_has_the_base_s_files_and_its_own_weights(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    for name in (
        "config.json",
        "tokenizer.json",
        "model-00001-of-00002.safetensors",
        "model.safetensors.index.json",
        "pytorch_model.bin",
        ".cache",
    ):
        (base / name).write_text("base")
    target = tmp_path / "stage" / "policy"
    target.parent.mkdir()
    trainer: Any = WeightsOnDisk()
    for trainer.value in (7, 8):  # the second replaces the first whole
        export_policy(trainer, base, target)
        (target / "left over").write_text("x") if trainer.value == 7 else None
    assert sorted(path.name for path in target.iterdir()) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    assert (target / "model.safetensors").read_text() == "8"
    assert [path.name for path in target.parent.iterdir()] == ["policy"]
    assert content_hash(target / "config.json") == hashlib.sha256(b"base").hexdigest()


def test_a_file_system_without_locks_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not another process that is in the way."""

    def flock(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("rl.run.run_directory.fcntl.flock", flock)
    with pytest.raises(BadInput, match=r"cannot be used \(.*Function not implemented"):
        RunDirectory(tmp_path / "run").open("name: a\n")
