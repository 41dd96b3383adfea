"""What plug-ins get wrong: the right method is blamed, the log named, and nothing of theirs outlives a worker."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from verifiers.answer import FinalAnswer
from verifiers.case import Case
from verifiers.service.fork_server import KEPT_ENV
from verifiers.service.service import VerifierService
from verifiers.verdict import Verdict
from verifiers.verifier import Example, Verifier

FOLDER = Path(__file__).parent
RIGHT = Verdict.scored(1.0, "equal", "equal")


class Faulty(Verifier):
    """Does what the answer says."""

    kind = "faulty"
    example = Example("r", "right")

    def prepare(self, reference):
        if reference == "raise":
            raise RuntimeError("no such table")
        return reference

    def extract(self, answer):
        if answer.text == "extract raises":
            raise KeyError("column")
        return answer.text

    def compare(self, prepared, extracted):
        if extracted == "exit":
            sys.exit(3)
        if extracted == "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        if extracted == "memory":
            return Verdict.scored(float(len([0] * 10**12)), "never", "never")
        if extracted == "recursion":
            return self.compare(prepared, extracted)
        if extracted.startswith("children "):
            return start_children(Path(extracted.partition(" ")[2]))
        if extracted == "numpy":
            return Verdict.scored(
                np.float32(0.5),
                "equal",
                "equal",
                extracted={3, 1},
                parts={"iou": np.float64(0.25), "hits": np.int64(2)},
                confident=np.bool_(True),
            )
        if extracted == "reference":
            return Verdict.scored(1.0, "equal", repr(prepared))
        answers = {
            "none": None,
            "bool": True,
            "float": 1.0,
            "list": [1.0, "equal"],
            "coroutine": asyncio.sleep(0) if extracted == "coroutine" else None,
            "odd part": "odd",
        }
        if extracted == "odd part":
            return Verdict.scored(1.0, "equal", "equal", parts={"iou": object()})
        return answers.get(extracted, RIGHT)


class Hungry(Verifier):
    """Needs more memory than there is, whatever the answer."""

    kind = "hungry"
    example = Example("r", "right")

    def prepare(self, reference):
        return reference

    def extract(self, answer):
        return answer.text

    def compare(self, prepared, extracted):
        table = [0] * 10**12
        return Verdict.scored(float(len(table)), "never", "never")


class Async(Faulty):
    async def extract(self, answer):
        return answer.text


def start_children(pid_file):
    """One child, and one in a session of its own whose parent is gone; then hang."""
    child = subprocess.Popen(["sleep", "300"])
    script = "setsid sleep 300 >/dev/null & echo $!"
    orphan = subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE, text=True, check=True)
    pid_file.write_text(f"{child.pid} {orphan.stdout}")
    while True:
        pass


@pytest.fixture(scope="module", autouse=True)
def importable():
    sys.path.append(str(FOLDER))
    yield
    sys.path.remove(str(FOLDER))


def verdict_of(service, text, *, name="Faulty", reference="r", options=None):
    path = name if ":" in name else f"test_plug_in_faults:{name}"
    return service.submit(Case(f"{name} {text}", path, options or {}, reference, FinalAnswer(text))).result(
        60
    )


@pytest.fixture(scope="module")
def pooled():
    with VerifierService(num_workers=1, timeout_s=3.0, memory_gib=1.0) as running:
        yield running


@pytest.fixture(scope="module")
def inline():
    with VerifierService(num_workers=0) as running:
        yield running


@pytest.fixture(params=["inline", "pooled"])
def service(request):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("given", ["none", "bool", "float", "list"])
def test_an_answer_that_is_no_verdict_is_blamed_on_compare(service, given):
    verdict = verdict_of(service, given)
    assert (verdict.status, verdict.code) == ("error", "no_verdict")
    assert "'faulty': compare returned" in verdict.reason and "not a Verdict" in verdict.reason
    assert {"none": "None", "bool": "True", "float": "1.0", "list": "[1.0, 'equal']"}[given] in verdict.reason


@pytest.mark.filterwarnings("error")
def test_a_coroutine_is_named_with_its_method(service):
    assert "compare is `async def`" in verdict_of(service, "coroutine").reason
    assert "extract is `async def`" in verdict_of(service, "right", name="Async").reason


def test_whoever_raises_is_named_with_the_line(service):
    verdict = verdict_of(service, "extract raises")
    assert verdict.code == "verifier_raised"
    assert "extract raised KeyError: 'column' (test_plug_in_faults.py, line" in verdict.reason
    assert "prepare raised RuntimeError" in verdict_of(service, "right", reference="raise").reason
    assert "compare raised SystemExit" in verdict_of(service, "exit").reason
    assert "part 'iou' of a verdict is a number, got a object" in verdict_of(service, "odd part").reason


def test_numpy_and_sets_in_verdicts_options_and_references_become_plain(service):
    verdict = verdict_of(service, "numpy")
    assert (verdict.score, verdict.extracted, verdict.confident) == (0.5, "[1, 3]", True)
    assert verdict.parts == {"iou": 0.25, "hits": 2}
    assert all(type(part) in (int, float) for part in verdict.parts.values())
    assert verdict_of(service, "reference", reference=np.array([1, 2])).reason == "[1, 2]"
    assert verdict_of(service, "reference", reference={2, 1}).reason == "[1, 2]"
    odd = {"rel_tol": np.float32(0.5)}
    assert verdict_of(
        service, "1.4", name="verifiers.kinds.number:NumberVerifier", reference="1", options=odd
    ).score
    refused = verdict_of(
        service, "1", name="verifiers.kinds.number:NumberVerifier", options={"rel_tol": object()}
    )
    assert refused.code == "not_json" and "a object" in refused.reason and "options" in refused.reason


def test_memory_and_depth_that_the_verifier_itself_needs_are_its_error(service):
    for text in ("memory", "recursion"):
        if service._pool is None and text == "memory":
            continue  # no limit on this process
        verdict = verdict_of(service, text)
        assert (verdict.score, verdict.code) == (0.0, "limit"), "an answer that asks for it pays for it"
    verdict = verdict_of(service, "right", name="Hungry")
    assert (verdict.status, verdict.code) == ("error", "out_of_memory")
    assert "its own example" in verdict.reason


def log_named_by(verdict):
    return Path(verdict.reason.rpartition("(log: ")[2].rstrip(")"))


def test_the_error_names_a_log_that_holds_the_traceback(pooled):
    log = log_named_by(verdict_of(pooled, "extract raises"))
    assert 'raise KeyError("column")' in log.read_text()
    verdict = verdict_of(pooled, "segfault")
    assert verdict.code == "worker_died"
    assert "SIGSEGV at test_plug_in_faults.py, line" in verdict.reason
    assert "Fatal Python error: Segmentation fault" in log_named_by(verdict).read_text()


def test_a_log_without_errors_goes_and_one_with_errors_stays(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    script = (
        "import sys\nfrom verifiers import Case, FinalAnswer, VerifierService\n"
        "with VerifierService(1) as s:\n"
        "    v = s.judge_many([Case('a', sys.argv[1], {}, '7', FinalAnswer(sys.argv[2]))])['a']\n"
        "print(v.status, v.reason)\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(tmp_path)}

    def run(stderr, *arguments):
        return subprocess.run(
            [sys.executable, "-c", script, *arguments],
            env=env, text=True, stdout=subprocess.PIPE, stderr=stderr, check=True,
        ).stdout  # fmt: skip

    assert run(subprocess.PIPE, "number", "7").startswith("scored")
    assert list(tmp_path.iterdir()) == []
    assert str(tmp_path) in run(subprocess.PIPE, "test_plug_in_faults:Faulty", "exit")
    assert len(list(tmp_path.glob("hone-verifiers-*.log"))) == 1
    with (tmp_path / "run.log").open("w") as run_log:  # a run's standard error is a file already
        assert f"(log: {tmp_path / 'run.log'})" in run(run_log, "test_plug_in_faults:Faulty", "exit")
    assert "SystemExit" in (tmp_path / "run.log").read_text()


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_what_a_killed_worker_started_dies_with_it(pooled, tmp_path):
    verdict = verdict_of(pooled, f"children {tmp_path / 'pids'}")
    assert verdict.status == "timeout"
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 2
    assert [pid for pid in pids if alive(pid)] == []
    assert verdict_of(pooled, "right").score == 1.0


def plug_in(folder, name, source):
    (folder / f"{name}.py").write_text(
        "import time\nfrom verifiers.verdict import Verdict\nfrom verifiers.verifier import Verifier\n"
        f"{source}\n"
        "class Rule(Verifier):\n    kind = 'rule'\n"
        "    def prepare(self, reference):\n        return reference\n"
        "    def extract(self, answer):\n        return answer.text\n"
        "    def compare(self, prepared, extracted):\n        use_table()\n"
        "        return Verdict.scored(1.0, 'equal', 'equal')\n"
    )
    return f"{name}:Rule"


def test_an_import_inside_a_case_is_said_once_and_costs_no_case(tmp_path, monkeypatch, caplog):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "slow_table.py").write_text("import time\ntime.sleep(1.5)\n")
    name = plug_in(tmp_path, "lazy_rule", "def use_table():\n    import slow_table\n")
    with VerifierService(num_workers=2, timeout_s=0.5) as service, caplog.at_level(logging.WARNING):
        cases = [Case(str(i), name, {}, "r", FinalAnswer("x")) for i in range(8)]
        verdicts = service.judge_many(cases)
    assert [verdict.score for verdict in verdicts.values()] == [1.0] * 8
    said = [record.getMessage() for record in caplog.records if "`imports`" in record.getMessage()]
    assert len(said) == 1 and "at lazy_rule.py, line 5 (use_table)" in said[0]


def test_a_module_that_never_loads_is_tried_once(tmp_path, monkeypatch, caplog):
    monkeypatch.syspath_prepend(tmp_path)
    name = plug_in(tmp_path, "endless_rule", "def use_table(): pass\ntime.sleep(300)")
    begun = time.monotonic()
    with (
        VerifierService(num_workers=1, timeout_s=0.5, load_timeout_s=2.0) as service,
        caplog.at_level(logging.WARNING),
    ):
        verdicts = service.judge_many(Case(str(i), name, {}, "r", FinalAnswer("x")) for i in range(20))
        assert service.judge_many([Case("n", "number", {}, "7", FinalAnswer("7"))])["n"].score == 1.0
    assert {(verdict.status, verdict.code) for verdict in verdicts.values()} == {("error", "load_timeout")}
    assert "did not load within 2 s" in verdicts["0"].reason
    assert time.monotonic() - begun < 20
    assert sum("none of its cases" in record.getMessage() for record in caplog.records) == 1


def test_a_module_that_ends_the_process_takes_no_fork_server_along(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    name = plug_in(tmp_path, "deadly_rule", "import os\nos._exit(7)")
    with VerifierService(num_workers=1, timeout_s=5.0) as service:
        zygote = service._pool._fork_server.pid
        verdict = service.judge_many([Case("d", name, {}, "r", FinalAnswer("x"))])["d"]
        assert (verdict.code, "exit status 7" in verdict.reason) == ("worker_died", True)
        assert service._pool._fork_server.pid == zygote


def test_the_readme_names_every_variable_that_a_worker_keeps():
    text = Path("verifiers/README.md").read_text()
    assert [name for name in KEPT_ENV if f"`{name}`" not in text] == []
