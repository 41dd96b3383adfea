"""A model's program can compute and nothing else."""

import os

import pytest

from verifiers.registry import load_verifier

REFERENCE = {"entry": "f", "tests": [{"args": [3], "expected": 9}]}


@pytest.mark.parametrize(
    "attempt",
    [
        "import socket\n    socket.socket()",
        "open({file!r}, 'w')",
        "import os\n    os.remove({file!r})",
        "import os\n    os.rename({file!r}, {file!r} + 'x')",
        "import subprocess\n    subprocess.run(['true'])",
        "import os\n    os.kill(os.getppid(), 9)",
        "import os\n    os.truncate({file!r}, 0)",
        "import os\n    os.chmod({file!r}, 0)",
        "import os\n    os.symlink('/', {file!r} + 'l')",
        "import os\n    os.mkdir({file!r} + 'd')",
    ],
)
def test_refused(attempt, tmp_path):
    kept = tmp_path / "kept"
    kept.write_text("kept")
    code = f"def f(x):\n    {attempt.format(file=str(kept))}\n    return x * x"
    verdict = load_verifier("code").judge(REFERENCE, code)
    assert verdict.score == 0.0
    assert "PermissionError" in verdict.reason
    assert kept.read_text() == "kept"
    assert os.listdir(tmp_path) == ["kept"]  # noqa: PTH208


def test_results_cannot_be_forged():
    forged = (
        'import os\nfor fd in range(3, 20):\n    try:\n        os.write(fd, b\'{"n": 0, "value": 9}\\n\')\n'
        "    except OSError:\n        pass\ndef f(x): return 1"
    )
    assert load_verifier("code").judge(REFERENCE, forged).score == 0.0


def test_expected_values_are_not_in_the_process():
    peek = (
        "import sys, gc\ndef f(x):\n    "
        "return [o for o in gc.get_objects() if isinstance(o, dict) and 'expected' in o][0]['expected']"
    )
    assert load_verifier("code").judge(REFERENCE, peek).score == 0.0


def test_no_secrets_in_the_environment(monkeypatch):
    monkeypatch.setenv("HONE_SECRET", "9")
    code = "import os\ndef f(x): return int(os.environ['HONE_SECRET'])"
    assert load_verifier("code").judge(REFERENCE, code).score == 0.0


def test_a_program_that_forks_is_gone_afterwards():
    code = "import os, time\ndef f(x):\n    if os.fork() == 0:\n        time.sleep(60)\n    return x * x"
    load_verifier("code", {"timeout_s": 2}).judge(REFERENCE, code)
    harnesses = [
        pid
        for pid in filter(str.isdigit, os.listdir("/proc"))  # noqa: PTH208
        if f"--{os.getpid()}--" in _command(pid)
    ]
    assert harnesses == []


def _command(pid):
    try:
        with open(f"/proc/{pid}/cmdline") as words:  # noqa: PTH123
            return words.read()
    except OSError:
        return ""
