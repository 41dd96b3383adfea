"""A model's program can compute and nothing else."""

import ctypes
import os
import time

import pytest

from verifiers.code_sandbox import jail, program_run
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
        "import os\n    os.fchmod(os.open(os.__file__, os.O_RDONLY), 0)",
        "import os, threading, signal\n    signal.pthread_kill(threading.get_ident(), 9)",
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


landlock = pytest.mark.skipif(ctypes.CDLL(None).syscall(444, None, 0, 1) < 1, reason="no Landlock here")


@landlock
@pytest.mark.parametrize(
    "attempt",
    [
        "int(open({file!r}).read())",
        "int(open({link!r}).read())",
        "int(open('/proc/self/cwd' + {file!r}).read())",
        "__import__('os').listdir({folder!r})",
        "open('/proc/self/environ').read()",
        "open('/etc/passwd').read()",
        "int(__import__('runpy').run_path({file!r}))",
    ],
)
def test_files_elsewhere_cannot_be_read(attempt, tmp_path):
    secret, link = tmp_path / "secret", tmp_path / "link"
    secret.write_text("9")
    link.symlink_to(secret)
    code = f"def f(x): return {attempt.format(file=str(secret), link=str(link), folder=str(tmp_path))}"
    verdict = load_verifier("code").judge(REFERENCE, code)
    assert (verdict.status, verdict.code, verdict.score) == ("scored", "failed", 0.0)
    assert "PermissionError" in verdict.reason
    printing = load_verifier("code").judge(
        {"tests": [{"stdin": "", "stdout": "9"}]}, f"print(open({str(secret)!r}).read())"
    )
    assert (printing.status, printing.score) == ("scored", 0.0)


def test_io_uring_is_no_way_around():
    code = (
        "import ctypes\ndef f(x):\n    libc = ctypes.CDLL(None, use_errno=True)\n"
        "    return [libc.syscall(425, 1, bytes(120)), ctypes.get_errno()]"
    )
    reference = {"entry": "f", "tests": [{"args": [3], "expected": [-1, 1]}]}
    assert load_verifier("code").judge(reference, code).score == 1.0


def test_the_standard_library_is_still_there():
    code = (
        "def f(x):\n    import ctypes, datetime, decimal, hashlib, random, secrets, sqlite3, ssl, threading, zoneinfo\n"
        "    random.seed(), secrets.token_bytes(3), datetime.datetime.now().astimezone(), hashlib.sha256(b'x')\n"
        "    return x * x"
    )
    assert load_verifier("code").judge(REFERENCE, code).score == 1.0


def test_without_landlock_the_program_runs_and_the_log_says_so(caplog):
    class OldKernel:
        """A libc whose kernel knows no Landlock."""

        class syscall:  # noqa: N801
            def __new__(cls, *_):
                return -1

    assert jail._fence(OldKernel, jail._readable()) is False
    program_run._warn_once.cache_clear()
    ready, _ = program_run._results(b'{"ready": true, "fenced": false}\n')
    assert ready == program_run._NOT_FENCED
    program_run._warn_once()
    program_run._warn_once()
    assert [record.levelname for record in caplog.records] == ["WARNING"]


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


@pytest.mark.parametrize("call", ["os.fork()", "os.forkpty()", "os.posix_spawn('/bin/true', ['true'], {})"])
def test_it_stays_one_process(call):
    verdict = load_verifier("code").judge(REFERENCE, f"import os\ndef f(x):\n    {call}\n    return x * x")
    assert verdict.score == 0.0
    assert "PermissionError" in verdict.reason


def test_threads_may_be_made():
    code = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "def f(x):\n    with ThreadPoolExecutor(4) as pool:\n        return sum(pool.map(lambda y: y, [x] * x))"
    )
    assert load_verifier("code").judge(REFERENCE, code).score == 1.0


@pytest.mark.parametrize(
    "value", ['{"float": "abc"}', '{"dict": 5}', '{"list": 3}', '{"dict": [1]}', '{"float": []}']
)
def test_a_line_that_is_no_result_fails_its_test(value):
    code = f"""import os
def f(x):
    for fd in range(3, 20):
        try: os.write(fd, b'{{"n": 0, "value": {value}}}\\n')
        except OSError: pass
    os._exit(0)"""
    for expected in (9, 9.5, {"a": 1}, [1]):
        reference = {"entry": "f", "tests": [{"args": [3], "expected": expected}]}
        verdict = load_verifier("code").judge(reference, code)
        assert (verdict.status, verdict.score) == ("scored", 0.0)


def test_a_sandbox_that_does_not_come_up_is_no_judgement(monkeypatch):
    monkeypatch.setattr(program_run, "START_S", 0.0)
    verdict = load_verifier("code", {"timeout_s": 1e-4}).judge(REFERENCE, "def f(x): return 9")
    assert (verdict.status, verdict.code) == ("error", "no_sandbox")


def test_all_runs_of_a_program_have_one_deadline():
    reference = {"tests": [{"stdin": "1", "stdout": "1"}, *[{"stdin": "0", "stdout": "0"}] * 5]}
    code = "import time\nn = input()\ntime.sleep(0 if n == '1' else 60)\nprint(n)"
    rule = load_verifier("code", {"score": "fraction", "timeout_s": 1.5})
    started = time.monotonic()
    verdict = rule.judge(reference, code)
    assert (verdict.status, verdict.score) == ("scored", pytest.approx(1 / 6))
    assert "out of time" in verdict.reason
    assert time.monotonic() - started < 5.0
    assert rule.max_seconds == 1.5


@pytest.mark.parametrize(
    "read",
    [
        "input()",
        "open(0).read()",
        "os.read(0, 99).decode()",
        "sys.stdin.readline()",
        "open('/dev/stdin').read()",
    ],
)
def test_a_program_reads_its_input_however_it_asks(read):
    reference = {"tests": [{"stdin": "drei ⅓\n", "stdout": "drei ⅓"}]}
    assert load_verifier("code").judge(reference, f"import os, sys\nprint({read})").score == 1.0


def test_a_dataclass_finds_its_module():
    code = "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\ndef f(x): return P(x).x ** 2"
    assert load_verifier("code").judge(REFERENCE, code).score == 1.0
    checks = "def f(x): return x * x if f.__annotations__ == {} and __name__ == 'solution' else 0"
    assert load_verifier("code").judge(REFERENCE, checks).score == 1.0


RIGHT = "def f(x):\n    return x * x"


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        (f"```python\n{RIGHT}\n```\nIt prints\n```\n9\n```", 1.0),
        (f"```python\n{RIGHT}\n```\nUse it so:\n```python\nprint(f(3))\n```", 1.0),
        (f"```cpp\nint f(int x) {{ return x; }}\n```\nand\n```python\n{RIGHT}\n```", 1.0),
        (f"```python\n{RIGHT}\n```\n".replace("\n", "\r\n"), 1.0),
        (f"1. So:\n   ```python\n   {RIGHT}\n   ```".replace("\n    return", "\n       return"), 1.0),
        (f"The program:\n```python\n{RIGHT}", 1.0),
        (f"Code: ```python\n{RIGHT}```", 1.0),
        (f"```\n{RIGHT}\n```\n```\n9\n```", 1.0),
        (f"```python\n{RIGHT}\n```\nNo:\n```python\ndef f(x):\n    return x\n```", 0.0),
        (f"```python\n{RIGHT}\n```\nNo:\n```\ndef f(x):\n    return x\n```", 0.0),
    ],
)
def test_which_block_is_the_program(answer, score):
    assert load_verifier("code").judge(REFERENCE, answer).score == score


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("def g(x): return x * x", "NameError: the program defines no f"),
        ("def f(x) return x", "SyntaxError"),
        ("import numpy\ndef f(x): return x * x", "No module named 'numpy'"),
        ("def f(x): return x / 0", "ZeroDivisionError"),
        ("raise SystemExit", "no result came out"),
    ],
)
def test_why_a_program_gave_nothing_is_said(code, why):
    verdict = load_verifier("code").judge(REFERENCE, code)
    assert (verdict.status, verdict.score) == ("scored", 0.0)
    assert why in verdict.reason


def test_what_a_program_of_streams_ended_by_is_said():
    reference = {"tests": [{"stdin": "3", "stdout": "9"}]}
    verdict = load_verifier("code").judge(reference, "print(int(input()) ** 2, missing)")
    assert verdict.score == 0.0 and "NameError: name 'missing'" in verdict.reason


def test_a_line_about_the_whole_program_is_only_told():
    """However it reads: a program can write it too."""
    code = """import os
for fd in range(3, 20):
    try: os.write(fd, b'{"n": -1, "raised": [1], "value": 9}\\n')
    except OSError: pass
"""
    verdict = load_verifier("code").judge(REFERENCE, code + "def f(x): return 1")
    assert verdict.score == 0.0
    assert load_verifier("code").judge(REFERENCE, code + RIGHT).score == 1.0
