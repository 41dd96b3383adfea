"""The killable service: only the stuck or dead worker's own case suffers."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from verifiers.answer import FinalAnswer
from verifiers.case import Case, Job
from verifiers.errors import BadInput
from verifiers.service.lost_case import LostCase, LostCases
from verifiers.service.service import VerifierService
from verifiers.service.worker_end import WorkerEnd
from verifiers.verdict import Verdict
from verifiers.verifier import Verifier


class Misbehaving(Verifier):
    """Does what the answer says."""

    kind = "misbehaving"

    def prepare(self, reference):
        return reference

    def extract(self, answer):
        return answer.text

    def compare(self, prepared, extracted):
        if extracted == "hang":
            while True:
                pass
        if extracted == "die":
            os._exit(3)
        if extracted == "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        if extracted == "raise":
            raise RuntimeError("broken")
        if extracted == "eat":
            return Verdict.scored(float(len([0] * 10**12)) * 0, "never", "never")
        if extracted == "torch":
            heavy = [name for name in ("torch", "ray", "vllm", "numpy") if name in sys.modules]
            return Verdict.scored(float(not heavy), "modules", str(heavy))
        if extracted == "env":
            return Verdict.scored(float("HONE_SECRET" not in os.environ), "env", "environment")
        return Verdict.scored(float(prepared == extracted), "compared", extracted)


PATH = f"{__name__}:Misbehaving"


@pytest.fixture(scope="module")
def module_path():
    """Workers import this file by its name; with importlib mode that name is not on the path by itself."""
    folder = str(Path(__file__).parent)
    sys.path.append(folder)
    yield "test_service:Misbehaving"
    sys.path.remove(folder)


def case(case_id, text, path, reference="right"):
    return Case(str(case_id), path, {}, reference, FinalAnswer(text))


@pytest.fixture(scope="module")
def service(module_path):
    os.environ["HONE_SECRET"] = "x"
    with VerifierService(num_workers=2, timeout_s=2.0, memory_gib=1.0) as running:
        yield running
    del os.environ["HONE_SECRET"]


def test_only_the_bad_cases_suffer(service, module_path):
    bad = {3: "hang", 10: "die", 20: "segfault", 30: "raise", 40: "eat"}
    cases = [case(i, bad.get(i, "right"), module_path) for i in range(60)]
    verdicts = service.judge_many(cases)
    assert list(verdicts) == [str(i) for i in range(60)]
    assert verdicts["3"].status == "timeout"
    assert (verdicts["10"].status, verdicts["10"].code) == ("error", "worker_died")
    assert (verdicts["20"].status, verdicts["20"].code) == ("error", "worker_died")
    assert (verdicts["30"].status, verdicts["30"].code) == ("error", "verifier_raised")
    assert (verdicts["40"].score, verdicts["40"].code) == (0.0, "limit")
    assert all(verdicts[str(i)].score == 1.0 for i in range(60) if i not in bad)


def test_a_deep_queue_costs_nobody_his_neighbours_fault(service, module_path):
    bad = {700: "hang", 1500: "die"}
    verdicts = service.judge_many(case(i, bad.get(i, "right"), module_path) for i in range(2000))
    assert (verdicts["700"].status, verdicts["1500"].status) == ("timeout", "error")
    assert all(verdicts[str(i)].score == 1.0 for i in range(2000) if i not in bad)


def test_a_parent_that_is_held_up_blames_nobody(module_path, monkeypatch):
    """Whatever was judged in time counts, even when the pool's thread reads it long after the deadline."""
    with VerifierService(num_workers=2, timeout_s=0.3) as running:
        running.judge_many([case(i, "right", module_path) for i in range(4)])
        select = running._pool._selector.select

        def slow_select(timeout):
            ready = select(timeout)
            time.sleep(0.5)
            return ready

        monkeypatch.setattr(running._pool._selector, "select", slow_select)
        verdicts = running.judge_many([case(f"s{i}", "right", module_path) for i in range(12)])
    assert [v.score for v in verdicts.values()] == [1.0] * 12


def test_killed_from_outside_the_case_is_tried_again(service, module_path):
    futures = [service.submit(case(f"k{i}", "right", module_path)) for i in range(50)]
    for pid in service.worker_pids()[:1]:
        os.kill(pid, signal.SIGKILL)
    assert [f.result(timeout=20).score for f in futures] == [1.0] * 50


def test_workers_are_light_and_hold_no_secret(service, module_path):
    verdicts = service.judge_many([case("m", "torch", module_path), case("e", "env", module_path)])
    assert verdicts["m"].score == 1.0, verdicts["m"].reason
    assert verdicts["e"].score == 1.0


def test_from_threads_and_asyncio(service, module_path):
    results = {}

    def judge(name):
        results[name] = service.judge_many([case(f"{name}{i}", "right", module_path) for i in range(20)])

    threads = [threading.Thread(target=judge, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(results["a"]) == {f"a{i}" for i in range(20)}
    assert all(v.score == 1.0 for r in results.values() for v in r.values())

    async def both():
        return await asyncio.gather(*(service.judge(case(f"s{i}", "right", module_path)) for i in range(20)))

    assert [v.score for v in asyncio.run(both())] == [1.0] * 20


def test_unknown_verifier_and_bad_reference_are_errors_not_zeros(service):
    verdicts = service.judge_many(
        [
            Case("u", "mth", {}, "1", FinalAnswer("1")),
            Case("o", "number", {"rel_tl": 0.1}, "1", FinalAnswer("1")),
            Case("r", "number", {}, "not a number", FinalAnswer("1")),
        ]
    )
    assert all(v.status == "error" and v.score is None for v in verdicts.values())
    assert "math" in verdicts["u"].reason
    assert "rel_tol" in verdicts["o"].reason


@pytest.mark.parametrize("num_workers", [0, 1])
def test_same_interface_inline_and_pooled(num_workers):
    with VerifierService(num_workers=num_workers) as running:
        cases = [Case(str(i), "number", {}, "7", FinalAnswer(str(i))) for i in range(10)]
        verdicts = running.judge_many(cases)
        assert [v.score for v in verdicts.values()] == [float(i == 7) for i in range(10)]
        twice = [Case("x", "number", {}, "7", FinalAnswer("7"))] * 2
        with pytest.raises(BadInput, match="'x'"):
            running.judge_many(twice)
    with pytest.raises(RuntimeError, match="closed"):
        running.submit(cases[0])


def test_recycling_and_bounded_queue():
    with VerifierService(num_workers=1, recycle_after=10, max_pending=5) as running:
        first = set(running.worker_pids())
        cases = [Case(str(i), "number", {}, "7", FinalAnswer("7")) for i in range(60)]
        assert all(v.score == 1.0 for v in running.judge_many(cases).values())
        assert not first or first != set(running.worker_pids())


def test_odd_texts_cross_the_border():
    texts = ["\x00", "\ud800", "𝟕", "a\nb", "7" * 100_000, '"}\n{"']
    with VerifierService(num_workers=1) as running:
        verdicts = running.judge_many(
            [Case(str(i), "string", {}, t, FinalAnswer(t)) for i, t in enumerate(texts[2:])]
        )
        assert [v.score for v in verdicts.values()] == [1.0] * 4
        odd = running.judge_many([Case(t, "number", {}, "7", FinalAnswer(t)) for t in texts[:2]])
        assert [v.score for v in odd.values()] == [0.0] * 2


def _alive(pid):
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _wait_until_gone(pids, seconds=5.0):
    deadline = time.monotonic() + seconds
    while any(map(_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return [pid for pid in pids if _alive(pid)]


def test_close_leaves_no_process_and_resolves_what_waits(module_path):
    running = VerifierService(num_workers=1, timeout_s=30)
    hung = running.submit(case("h", "hang", module_path))
    waiting = running.submit(case("w", "right", module_path))
    while not running.worker_pids():
        time.sleep(0.01)
    pids = running.worker_pids()
    running.close()
    running.close()
    assert hung.result(timeout=5).status == "error"
    assert waiting.result(timeout=5).code == "closed"
    assert _wait_until_gone(pids) == []


def test_no_orphans_when_the_parent_is_killed():
    script = (
        "import time\nfrom verifiers.service.service import VerifierService\n"
        "s = VerifierService(num_workers=2)\n"
        "while len(s.worker_pids()) < 3: time.sleep(0.01)\n"
        "print(*s.worker_pids(), s._pool._fork_server.pid, flush=True)\ntime.sleep(60)\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p or str(Path.cwd()) for p in sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=env
    ) as parent:
        pids = [int(word) for word in parent.stdout.readline().split()]
        parent.kill()
    assert len(pids) == 4
    assert _wait_until_gone(pids) == []


def test_what_a_verifier_imports_is_not_charged_to_its_first_case():
    """Building pint's registry takes seconds; the clock of a case starts after that."""
    with VerifierService(num_workers=1, timeout_s=0.4) as service:
        verdict = service.judge_many(
            [Case("a", "number", {"units": "convert"}, "90 min", FinalAnswer("1.5 h"))]
        )["a"]
    assert (verdict.status, verdict.score) == ("scored", 1.0)
    assert verdict.seconds < 0.4


def test_the_log_says_who_ended_a_late_worker():
    """A kill of our own is not the kernel's."""
    titles = []
    log = SimpleNamespace(add_stack=lambda title, stack: titles.append(title), path=Path("log"))
    cases = LostCases(timeout_s=1.0, load_timeout_s=9.0, crash_retries=0, log=log)
    job = Job(Case("a", "math", {}, "1", FinalAnswer("1")), "key")
    assert cases.settle(LostCase(job, late=True, loaded=True), WorkerEnd(-9)).status == "timeout"
    assert cases.settle(LostCase(job), WorkerEnd(-9)).status == "error"
    assert titles == [
        "'math' on case 'a': ended by this service, since it was late",
        "'math' on case 'a': SIGKILL, by the kernel for want of memory or by a person",
    ]
