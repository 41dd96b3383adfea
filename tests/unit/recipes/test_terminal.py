"""Pipes, narrow terminals, markup in data, paths that may not be used: one line, and the exit status of a good tool."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from recipes import cli
from recipes.commands.output.console import plain_console
from rl.run.progress import ProgressDisplay
from tests.unit.recipes.test_cli import REPOSITORY

TINY = REPOSITORY / "tests/data/tiny_program.yaml"
NOBODY = 65534


def hone(*arguments, cwd, without_rights=False, **settings):
    """``without_rights``: root's way into other users' files is given up, as any user has none."""
    command = [sys.executable, "-m", "recipes", *map(str, arguments)]
    if without_rights and os.getuid() == 0:
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1", **settings}
    return subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=120,
        errors="replace",
    )  # fmt: skip


def write_rows(path, num_rows, **row):
    rows = [
        {"id": f"{i}", "answer": "7", "reference": "7", "verifier": "number", **row} for i in range(num_rows)
    ]
    return write_jsonl(path, rows)


def write_jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def one_line(done):
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("hone: error: ") and done.stderr.count("\n") == 1
    return done.stderr


def test_a_closed_pipe_ends_a_command_silently(tmp_path):
    """Its reader is gone before the first line, as after `| head -1` of a long table."""
    write_rows(tmp_path / "a.jsonl", 3)
    dry_run = ["run", str(TINY), "--dry-run"]
    for arguments in (["verify", "a.jsonl"], ["verifiers", "list"], ["recipe", "keys"], ["--help"], dry_run):
        read_end, write_end = os.pipe()
        os.close(read_end)
        try:
            done = subprocess.run(
                [sys.executable, "-m", "recipes", *arguments],
                cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, stdout=write_end,
                stderr=subprocess.PIPE, text=True, check=False, timeout=120,
            )  # fmt: skip
        finally:
            os.close(write_end)
        assert (arguments, done.returncode, done.stderr) == (arguments, cli.EXIT_PIPE, "")


def test_a_stream_that_is_closed_changes_nothing(tmp_path):
    """As a scheduler may start a command: `>&-`."""
    for closed in (">&-", "2>&-", ">&- 2>&-"):
        for words in ("recipe keys", "verifiers list"):
            done = subprocess.run(
                ["/bin/sh", "-c", f'"$0" -m recipes {words} {closed}', sys.executable],
                cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True,
                check=False, timeout=120,
            )  # fmt: skip
            assert (done.returncode, done.stderr) == (0, ""), (words, closed)


def test_a_narrow_terminal_gets_question_marks(tmp_path):
    write_rows(tmp_path / "a.jsonl", 2, id="é✓")
    narrow = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    (tmp_path / "a.jsonl").write_text(
        '{"id": "é✓", "answer": "七", "reference": "x", "verifier": "nümber"}\n'
    )
    for arguments in (
        ["verify", "a.jsonl"],
        ["verifiers", "list"],
        ["recipe", "keys"],
        ["verify", "ü✓.jsonl"],
        [
            "run",
            TINY,
            "--dry-run",
            "data.builder=null",
            "data.train_prompts=ü.jsonl",
            "data.heldout_prompts=a.jsonl",
        ],
    ):
        done = hone(*arguments, cwd=tmp_path, **narrow)
        assert "Traceback" not in done.stderr and "UnicodeEncodeError" not in done.stderr
        assert done.stdout.isascii() and done.stderr.isascii()


def test_markup_in_data_is_shown_as_it_stands(tmp_path):
    row = {"id": "[red]x[/]", "answer": "7[/]", "reference": "[/]7", "verifier": "num[/]ber"}
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    done = hone("verify", "a.jsonl", cwd=tmp_path, COLUMNS="200")
    assert done.returncode == 1
    assert "not judged [red]x[/] (num[/]ber, bad_verifier): unknown verifier 'num[/]ber'" in done.stdout
    row["verifier"] = "number"
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    done = hone("verify", "a.jsonl", "--check-references", cwd=tmp_path, COLUMNS="200")
    assert "[/]7" in done.stdout and "Traceback" not in done.stderr


def test_no_text_steers_the_terminal(tmp_path, capsys):
    """An escape sequence in an id, a verifier's name, an answer; also in a line of progress and in a table."""
    steering = "\x1b]0;title\x07\x1b[2Jx\x9b31m"
    row = {"id": f"a{steering}", "answer": "7", "reference": "7", "verifier": f"number{steering}"}
    write_jsonl(tmp_path / "a.jsonl", [row])
    assert cli.main(["verify", str(tmp_path / "a.jsonl")]) == 1
    told = capsys.readouterr()
    with ProgressDisplay(plain_console(), live=False) as display:
        display.note(steering)
    said = told.out + told.err + capsys.readouterr().out
    assert "a?]0;title" in said and not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", said)


MARKUP = "[bold]a[/bold][/][link=file:///etc]b[red"


def test_markup_in_a_data_set_is_shown_by_the_dry_run_as_it_stands(tmp_path, monkeypatch, capsys):
    """Names of files, columns and verifiers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    train, heldout = (
        [
            {"messages": f"{words} {n}?", "verifier": verifier, "reference": MARKUP, MARKUP: 1}
            for n, verifier in enumerate(("string", f"x{MARKUP}"))
        ]
        for words in ("How many", "How large")
    )
    write_jsonl(tmp_path / "[red]train[bold].jsonl", train)
    write_jsonl(tmp_path / "heldout.jsonl", heldout[:1])
    sets = "data.train_prompts='[red]train[bold].jsonl'", "data.heldout_prompts=heldout.jsonl"
    assert cli.main(["run", str(TINY), "--dry-run", "data.builder=null", *sets]) == 1
    told = capsys.readouterr()
    for words in ("[red]train[bold].jsonl", f"verifier 'x{MARKUP}'", f"not read: {MARKUP}"):
        assert words in told.out, told.out
    assert told.err == ""


@pytest.fixture
def unusable(tmp_path):
    """Path -> why nothing can be written there."""
    (tmp_path / "file").write_text("")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    if os.getuid() == 0:  # it is its owner's still, and that is another user
        if shutil.which("setpriv") is None:
            pytest.skip("root needs setpriv to give up its rights")
        os.chown(closed, NOBODY, NOBODY)
    return {
        closed / "x": "has no rights there",
        tmp_path / "file": "is below, a file",
        tmp_path / "file" / "x": "is below, a file",
    }


def test_an_output_that_may_not_be_written_is_one_line(tmp_path, unusable):
    write_rows(tmp_path / "a.jsonl", 1)
    for folder, why in unusable.items():
        done = hone(
            "verify", tmp_path / "a.jsonl", "--out", folder / "out.jsonl", cwd=tmp_path, without_rights=True
        )
        assert done.returncode == cli.EXIT_BAD_INPUT
        assert why in one_line(done)


def test_an_output_is_tried_before_the_work_is_done(tmp_path, monkeypatch, capsys):
    """What takes minutes does not find out at its end, and leaves a file that is there as it is."""
    from recipes.commands import eval as eval_command
    from recipes.commands import reward_model
    from verifiers.kit import fuzz

    class Begun(Exception):
        pass

    def begins(*_, **__):
        raise Begun

    monkeypatch.setattr(eval_command, "_evaluate", begins)
    monkeypatch.setattr(reward_model, "_score", begins)
    monkeypatch.setattr(fuzz, "fuzz", begins)
    for name in ("config.json", "model.safetensors", "file"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "a.jsonl").write_text(json.dumps({"messages": "?", "reference": "7", "answer": "7"}))
    refused = {
        tmp_path / "file" / "x": "is below, a file",
        tmp_path: "it is a folder",
    }
    for command in (
        ["eval", TINY, "--policy", tmp_path],
        ["reward-model", "score", tmp_path / "a.jsonl", "--model", tmp_path],
        ["verifiers", "fuzz", "number"],
    ):
        for out, why in refused.items():
            assert cli.main([*map(str, command), "--out", str(out)]) == cli.EXIT_BAD_INPUT
            told = capsys.readouterr().err
            assert why in told and told.count("\n") == 1
        with pytest.raises(Begun):
            cli.main([*map(str, command), "--out", str(tmp_path / "file")])
    assert (tmp_path / "file").read_text() == "{}"
    assert not list(tmp_path.glob(".*"))


def test_a_data_file_that_may_not_be_read_is_one_line(tmp_path, unusable):
    data = write_rows(tmp_path / "a.jsonl", 1)
    data.chmod(0o000)
    if os.getuid() == 0:
        os.chown(data, NOBODY, NOBODY)
    assert "a.jsonl' is not readable" in one_line(hone("verify", data, cwd=tmp_path, without_rights=True))
    sets = [f"data.train_prompts={data}", f"data.heldout_prompts={data}"]
    done = hone("run", TINY, "--dry-run", "data.builder=null", *sets, cwd=tmp_path, without_rights=True)
    assert (done.returncode, done.stderr) == (1, "")
    assert re.search(r"a\.jsonl.*(Permission denied|no rights there)", done.stdout), done.stdout


def test_a_run_directory_that_may_not_be_used_is_one_line(tmp_path, unusable):
    for folder, why in unusable.items():
        done = hone("run", TINY, f"run_dir={folder}", cwd=tmp_path, without_rights=True)
        assert done.returncode == cli.EXIT_BAD_INPUT
        assert why in one_line(done) and "give another run_dir=" in done.stderr


@pytest.fixture
def full_disk(tmp_path):
    """A file system of 64 KiB without a free byte."""
    mount = tmp_path / "full"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=1777", "tmpfs", str(mount)]
    if os.getuid() or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield mount
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True)


def fill(folder):
    with (folder / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass


def test_a_run_directory_on_a_full_disk_is_one_line(full_disk, tmp_path):
    fill(full_disk)
    done = hone("run", TINY, f"run_dir={full_disk / 'run'}", cwd=tmp_path)
    assert done.returncode == cli.EXIT_BAD_INPUT
    assert "the disk is full: free some space" in one_line(done)


def writes_text(path):
    path.write_text("y" * 100_000)


def writes_weights(path):
    import torch
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(100_000)}, path)


def writes_a_checkpoint(path):
    import torch

    torch.save({"a": torch.zeros(100_000)}, path)


def writes_parquet(path):
    import pyarrow as pa

    from sampler.data.prompt_schema import write_parquet

    write_parquet(path, {"a": [f"{number:,}" for number in range(100_000)]}, [("a", pa.string())])


@pytest.mark.parametrize("writes", [writes_text, writes_weights, writes_a_checkpoint, writes_parquet])
def test_a_disk_that_fills_up_under_a_run_is_said(full_disk, writes):
    """Whoever writes: each library has an error of its own."""
    from rl.run.boundary.engine_failure import EngineFailure, failures_in_one_line
    from rl.run.boundary.output import quiet_third_party

    log = full_disk / "driver.log"
    with pytest.raises(EngineFailure, match="the disk is full: free some space; the same command resumes"):
        with quiet_third_party(log, native=False), failures_in_one_line(log):
            fill(full_disk)
            print("x" * 100_000)  # others' output is lost, and nothing else
            writes(full_disk / "written")


def dry_run(capsys, *overrides):
    """Status and what was printed, in one line."""
    status = cli.main(["run", str(TINY), "--dry-run", *overrides])
    return status, " ".join(capsys.readouterr().out.split())


def test_a_job_s_number_is_a_name(capsys):
    assert "4711: 2 rounds into runs/4711" in dry_run(capsys, "name=4711")[1]
    assert "0042: 2 rounds into runs/0042" in dry_run(capsys, "name=0042")[1]


def test_groups_of_one_are_told_at_the_dry_run(capsys):
    status, told = dry_run(capsys, "rl.samples_per_prompt=1", "rl.prompts_per_step=96")
    assert status == 1
    assert "rl.samples_per_prompt must be at least 2, got 1" in told


def test_a_rate_below_its_floor_is_refused(tmp_path):
    done = hone(
        "run", TINY, "sft.schedule.lr=1e-6", "--dry-run", cwd=tmp_path,
    )  # fmt: skip
    assert "min_lr=1e-05 is above lr=1e-06" in one_line(done)
