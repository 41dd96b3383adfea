"""The command line: fast help, one-line errors with the right exit status, and no mixing up of packages."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recipes import cli
from verifiers.errors import BadInput, HoneError

REPOSITORY = Path(cli.__file__).resolve().parents[1]
# pydantic is not among them: Typer itself imports it as soon as a command has parameters.
HEAVY = {
    "torch", "ray", "vllm", "datasets", "numpy", "transformers", "verl", "deepspeed", "pandas", "pyarrow", "rich",
}  # fmt: skip
WRITTEN = [name for name in cli.COMMANDS if (REPOSITORY / "recipes" / "commands" / f"{name}.py").is_file()]


def python(
    code: str, *arguments: str, cwd=REPOSITORY, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@pytest.fixture
def command(monkeypatch):
    """Makes `hone probe` run a function of the test's."""

    def install(function, resumes=False):
        line = cli.CommandLine("probe", "A probe.", resumes=resumes)
        monkeypatch.setitem(cli.COMMANDS, "probe", line)
        module = type(sys)("recipes.commands.probe")
        module.probe = function
        monkeypatch.setitem(sys.modules, "recipes.commands.probe", module)

    return install


@pytest.fixture
def own_signals():
    """Signals as a command finds them, whatever Ray has set in this process, also where a shell ignores Ctrl-C."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_help_lists_every_command_with_its_line(capsys):
    for arguments in ([], ["--help"], ["-h"]):
        assert cli.main(arguments) == 0
        shown = capsys.readouterr().out
        for line in cli.COMMANDS.values():
            assert f"{line.name} " in shown
            assert line.help in shown


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in WRITTEN)], ids=" ".join)
def test_help_imports_nothing_heavy_and_is_quick(arguments):
    """CPU seconds, not the clock, and with room: a busy neighbour slows the core too (0.3 to 0.7 s when idle)."""
    code = (
        "import sys, resource\nfrom recipes.cli import main\nstatus = main(sys.argv[1:])\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        f"heavy = sorted({HEAVY!r} & set(sys.modules))\n"
        "print(f'@@{status}|{\",\".join(heavy)}|{used.ru_utime + used.ru_stime}')"
    )
    done = python(code, *arguments)
    assert done.returncode == 0, done.stderr
    status, heavy, seconds = done.stdout.rpartition("@@")[2].strip().split("|")
    assert (status, heavy) == ("0", "")
    assert "Usage: hone" in done.stdout
    assert float(seconds) < 2.5


def test_the_three_ways_to_call_it_are_the_same():
    ways = [[sys.executable, "-m", "recipes"]]
    script = Path(sys.executable).with_name("hone")
    if script.exists():
        ways.append([str(script)])
    for way in ways:
        done = subprocess.run(
            [*way, "--version"], cwd="/", capture_output=True, text=True, check=False, timeout=60
        )
        assert (done.returncode, done.stdout.startswith("hone "), done.stderr) == (0, True, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["verifers"], "No such command 'verifers'. Did you mean 'verifiers', 'verify'? (see `hone --help`)"),
        (["--fast"], "No such option: --fast"),
        (["probe"], "Missing argument 'file' (see `hone probe --help`)"),
        (["probe", "a", "--size", "many"], "Invalid value for '--size': "),
    ],
)
def test_usage_errors_are_one_line_and_status_2(capsys, command, arguments, message):
    def probe(file: str, size: int = 3) -> None:
        """Never called."""

    command(probe)
    assert cli.main(arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("hone: error: ")
    assert message in told.err
    assert told.err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [(BadInput("line one\nand \x1b[31mtwo"), 2), (HoneError("it\nbroke"), 1)],
    ids=["bad", "failed"],
)
def test_own_errors_are_one_line_without_a_traceback(capsys, command, error, status, monkeypatch):
    def probe() -> None:
        raise error

    command(probe)
    assert cli.main(["probe"]) == status
    told = capsys.readouterr().err
    assert told in ("hone: error: line one and ?[31mtwo\n", "hone: error: it broke\n")
    monkeypatch.setenv("HONE_DEBUG", "1")
    with pytest.raises(type(error)):
        cli.main(["probe"])
    monkeypatch.setenv("HONE_DEBUG", "0")
    assert cli.main(["probe"]) == status


def test_a_bug_is_not_dressed_up(command):
    def probe() -> None:
        raise ZeroDivisionError

    command(probe)
    with pytest.raises(ZeroDivisionError):
        cli.main(["probe"])


@pytest.mark.parametrize("resumes", [True, False])
@pytest.mark.parametrize(
    ("number", "status", "how"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
@pytest.mark.usefixtures("own_signals")
def test_a_stop_has_its_status_and_says_whether_the_command_resumes(
    capsys, command, resumes, number, status, how
):
    def probe() -> None:
        signal.raise_signal(number)

    command(probe, resumes)
    assert cli.main(["probe"]) == status
    told = f"hone: {how}; the same command resumes" if resumes else f"hone: {how}"
    assert capsys.readouterr().err.strip() == told


def test_ctrl_c_before_the_command_line_is_there_says_nothing():
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import sys\n"
        "class Stop:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'recipes.cli': signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Stop())\n"
        "import recipes.__main__"
    )
    stopped = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (stopped.returncode, stopped.stdout, stopped.stderr) == (-signal.SIGINT, "", "")


def test_exit_status_of_a_command(command):
    import typer

    def probe(status: int, way: str) -> int | bool | None:
        if way == "exit":
            raise typer.Exit(status)
        return {"return": status, "flag": True, "none": None}[way]

    command(probe)
    for way, expected in (("exit", 3), ("return", 3), ("flag", 0), ("none", 0)):
        assert cli.main(["probe", "3", way]) == expected


def test_a_missing_command_module_breaks_no_other(capsys, monkeypatch):
    monkeypatch.setitem(cli.COMMANDS, "nowhere", cli.CommandLine("nowhere", "Not written."))
    assert cli.main(["nowhere"]) == 1
    assert "`hone nowhere` is not in this checkout" in capsys.readouterr().err
    assert cli.main(["--help"]) == 0


def test_a_broken_import_inside_a_command_is_not_called_missing(monkeypatch):
    def import_module(name):
        raise ModuleNotFoundError("No module named 'left_pad'", name="left_pad")

    monkeypatch.setattr(cli.importlib, "import_module", import_module)
    with pytest.raises(ModuleNotFoundError, match="left_pad"):
        cli.main(["verify", "x"])


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("hone ")


def test_all_five_floors_are_this_repositorys():
    assert cli.misplaced_floor() is None
    assert {floor for floor in cli.FLOORS if (REPOSITORY / floor / "__init__.py").is_file()} == set(
        cli.FLOORS
    )


def test_another_package_of_that_name_stops_hone(tmp_path):
    """Such as the distribution `verifiers` before this repository on the path."""
    (tmp_path / "verifiers").mkdir()
    code = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(REPOSITORY)!r}]\n"
        "from recipes.cli import main; sys.exit(main(['--help']))"
    )
    assert python(code, cwd=tmp_path).returncode == 0  # a folder without __init__.py is not a package

    (tmp_path / "verifiers" / "__init__.py").write_text("raise SystemExit('imported the wrong one')")
    done = python(code, cwd=tmp_path)
    assert done.returncode == 1
    assert f"package 'verifiers' is {tmp_path}/verifiers, not {REPOSITORY}/verifiers" in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_plug_in_in_the_current_folder_is_found_by_the_installed_script(tmp_path):
    (tmp_path / "plug.py").write_text(
        "from verifiers.kinds.string_match import StringVerifier\n\n\n"
        "class Plug(StringVerifier):\n    kind = 'plug'\n"
    )
    (tmp_path / "answers.jsonl").write_text('{"answer": "blue", "reference": "blue"}\n')
    done = subprocess.run(
        [Path(sys.executable).parent / "hone", "verify", "answers.jsonl", "--verifier", "plug:Plug"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "mean score 1.0000" in done.stdout


@pytest.mark.parametrize("moment_s", [0.05, 0.3, 0.7, 1.5])
def test_a_termination_in_the_first_seconds_is_one_line_at_most(tmp_path, moment_s):
    """As a scheduler sends it: before Python has come to Hone it ends the process, later Hone says so."""
    with subprocess.Popen(
        [sys.executable, "-m", "recipes", "run", REPOSITORY / "tests/data/tiny_program.yaml", f"run_dir={tmp_path}/r"],
        cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        time.sleep(moment_s)
        process.terminate()
        _, told = process.communicate(timeout=60)
    assert (process.returncode, told.strip()) in [
        (-signal.SIGTERM, ""), (cli.EXIT_TERMINATED, "hone: terminated; the same command resumes"),
    ]  # fmt: skip


def test_a_library_that_swallows_the_termination_is_asked_again_and_cleaning_up_is_not_disturbed():
    code = """
import os, signal, sys, time, types
import recipes.cli as cli

def command(*_, **__):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)
    except:
        pass  # as some imports do
    try:
        time.sleep(30)
    finally:
        time.sleep(1.5)
        print("cleaned up")

cli.get_command = lambda _: types.SimpleNamespace(main=command)
sys.exit(cli.main(["run"]))
"""
    began = time.monotonic()
    done = python(code)
    assert (done.returncode, done.stdout) == (cli.EXIT_TERMINATED, "cleaned up\n")
    assert done.stderr.strip() == "hone: terminated; the same command resumes"
    assert time.monotonic() - began < 20


def test_a_stopped_command_waits_for_no_thread():
    """What is registered for the end is done; a thread that goes on keeps neither the command nor its status."""
    code = (
        "import atexit, threading, time\nimport recipes.__main__ as command\n"
        "atexit.register(print, 'swept')\ncommand.main = lambda: 130\n"
        "threading.Thread(target=time.sleep, args=(60,)).start()\ncommand.run()\n"
    )
    began = time.monotonic()
    done = python(code)
    assert (done.returncode, done.stdout, done.stderr) == (130, "swept\n", "")
    assert time.monotonic() - began < 50
