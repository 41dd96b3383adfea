"""Third-party output lands in the log and ours on the terminal, each tested in a process of its own."""

import subprocess
import sys
from pathlib import Path

DRIVER = """
import logging, os, sys, warnings, subprocess
from rl.run.boundary.output import quiet_third_party
early = logging.getLogger("vllm"); early.propagate = False
early.addHandler(logging.StreamHandler(sys.stdout))
print("ours before")
with quiet_third_party({log!r}) as terminal:
    os.write(1, b"native stdout\\n"); os.write(2, b"native stderr\\n")
    print("library print"); print("library stderr", file=sys.stderr)
    early.warning("old handler")
    late = logging.getLogger("deepspeed"); late.addHandler(logging.StreamHandler())
    late.warning("new handler")
    warnings.warn("a torch warning")
    subprocess.run(["echo", "from a child"])
    print("ours within", file=terminal)
    {inside}
print("ours after")
"""

THIRD_PARTY = [
    "native stdout",
    "native stderr",
    "library print",
    "library stderr",
    "old handler",
    "new handler",
    "a torch warning",
    "from a child",
]


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )


def test_third_party_output_goes_to_the_log_and_ours_to_the_terminal(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "driver.log"
    done = run_python(DRIVER.format(log=str(log), inside="pass"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["ours before", "ours within", "ours after"]
    assert done.stderr == ""
    logged = log.read_text()
    assert [words for words in THIRD_PARTY if words not in logged] == []
    assert "ours" not in logged


def test_an_exception_of_ours_reaches_the_user(tmp_path: Path) -> None:
    log = tmp_path / "driver.log"
    done = run_python(DRIVER.format(log=str(log), inside="raise ValueError('learning rate is negative')"))
    assert done.returncode == 1
    assert "ValueError: learning rate is negative" in done.stderr
    assert done.stdout.splitlines() == ["ours before", "ours within"]
    assert "native stdout" in log.read_text()


def test_output_at_interpreter_exit_goes_to_the_log(tmp_path: Path) -> None:
    log = tmp_path / "driver.log"
    code = f"""
import atexit, os, sys
# registered earlier, so it runs later
atexit.register(lambda: os.write(2, b"nanobind: leaked 3 instances\\n"))
from rl.run.boundary.output import quiet_third_party
with quiet_third_party({str(log)!r}):
    pass
print("ours at the end")
"""
    done = run_python(code)
    assert (done.stdout, done.stderr) == ("ours at the end\n", "")
    assert "nanobind: leaked 3 instances" in log.read_text()


def test_without_native_only_python_output_is_caught(tmp_path: Path) -> None:
    log = tmp_path / "driver.log"
    code = f"""
import os
from rl.run.boundary.output import quiet_third_party
with quiet_third_party({str(log)!r}, native=False) as terminal:
    print("library print")
    print("ours", file=terminal)
    os.write(1, b"native\\n")
"""
    done = run_python(code)
    assert sorted(done.stdout.splitlines()) == ["native", "ours"]
    assert log.read_text() == "library print\n"


def test_an_actor_sends_everything_to_its_log(tmp_path: Path) -> None:
    log = tmp_path / "sampler-0.log"
    code = f"""
import logging, os, sys
logging.basicConfig(stream=sys.stderr)
from rl.run.boundary.output import send_output_to
send_output_to({str(log)!r})
os.write(1, b"native\\n"); print("printed \\ud83d"); logging.warning("logged")
"""
    done = run_python(code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [words for words in ("native", "printed", "logged") if words not in log.read_text()] == []


def test_the_terminal_stream_is_the_real_one(tmp_path: Path) -> None:
    """Inside the block the stream still sits on the caller's terminal, so rich draws its live line there."""
    code = f"""
import os, pty
parent, child = pty.openpty()
os.dup2(child, 1)
from rl.run.boundary.output import quiet_third_party
from rich.console import Console
with quiet_third_party({str(tmp_path / "log")!r}) as terminal:
    os.write(2, str((terminal.isatty(), Console(file=terminal).is_terminal, os.isatty(1))).encode())
"""
    assert run_python(code).returncode == 0
    assert (tmp_path / "log").read_text() == "(True, True, False)"


def test_a_handler_that_follows_sys_stderr_is_left_alone(tmp_path: Path) -> None:
    """Such as the one that Ray hangs on its loggers: its stream cannot be set, and it finds the log by itself."""
    log = tmp_path / "driver.log"
    code = f"""
import logging
from rl.run.boundary.output import quiet_third_party
logging.getLogger("ray").addHandler(type(logging.lastResort)())
with quiet_third_party({str(log)!r}):
    logging.getLogger("ray").warning("a warning of ray")
"""
    done = run_python(code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "a warning of ray" in log.read_text()


def test_a_reader_that_has_gone_does_not_keep_the_streams_in_the_log(tmp_path: Path) -> None:
    code = f"""
import os, sys
from rl.run.boundary.output import quiet_third_party
stdout = sys.stdout
read_end, write_end = os.pipe()
os.dup2(write_end, 1); os.close(write_end); os.close(read_end)
with quiet_third_party({str(tmp_path / "log")!r}) as terminal:
    terminal.write("half a line")
os.write(2, str(sys.stdout is stdout).encode())
"""
    assert run_python(code).stderr == "True"
