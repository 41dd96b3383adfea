"""Checks of the conformance kit that judge in another place: a thread, asyncio, another process, a Ray actor."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import threading
from collections.abc import Callable

from verifiers.case import Case
from verifiers.kit.audited_run import audit
from verifiers.kit.verifier_under_test import CheckFailed, VerifierUnderTest
from verifiers.service.service import VerifierService
from verifiers.verdict import Verdict
from verifiers.verifier import shown

IMPORT_LIMIT_S = 1.0
THREAD_LIMIT_S = 30.0


def from_thread(kit: VerifierUnderTest) -> str:
    verdicts: list[Verdict] = []
    runner = threading.Thread(target=lambda: verdicts.append(kit.judge(kit.example)))
    runner.start()
    runner.join(THREAD_LIMIT_S)
    if not verdicts:
        raise CheckFailed(f"the example has no verdict off the main thread within {THREAD_LIMIT_S:g} s")
    kit.require_example(verdicts[0], "off the main thread")
    return "same score"


def from_asyncio(kit: VerifierUnderTest) -> str:
    with VerifierService(num_workers=0) as service:
        kit.require_example(asyncio.run(service.judge(kit.example_case("a"))), "from asyncio")
    return "same score"


def elsewhere(kit: VerifierUnderTest, judge: Callable[[Case], Verdict]) -> str:
    """Judge the example by `judge`. A verifier's own failure is a verdict: what `judge` raises is the place's."""
    try:
        verdict = judge(kit.example_case("elsewhere"))
    except Exception as why:  # noqa: BLE001 - a Ray that does not start may raise anything
        return shown(f"skipped: the place failed, not the verifier ({type(why).__name__}: {why})")
    kit.require_example(verdict, "there")
    return "same score"


def pickled(kit: VerifierUnderTest) -> str:
    copy = pickle.loads(pickle.dumps(kit.verifier(kit.example.options)))  # noqa: S301 - our own bytes
    kit.require_example(copy.judge(kit.example.reference, kit.example.answer), "in a pickled copy")
    return "a copy judges alike"


def after_a_kill(kit: VerifierUnderTest) -> str:
    with VerifierService(num_workers=1, timeout_s=20) as service:
        kit.require_example(service.submit(kit.example_case("before")).result(), "in a worker")
        for pid in service.worker_pids()[:1]:
            os.kill(pid, signal.SIGKILL)
        kit.require_example(service.submit(kit.example_case("after")).result(), "after a worker's kill")
    return "the next case scores"


def side_effects(kit: VerifierUnderTest) -> str:
    """Judge the example and the first cases under an audit hook, in a process of its own; what that imports."""
    cases = [kit.example, *kit.cases[:100]]
    rows = [[dict(case.options), case.reference, case.answer] for case in cases]
    try:
        seen = audit(kit.name, rows)
    except RuntimeError as why:
        raise CheckFailed(shown(str(why))) from None
    events = sorted(set(seen["events"]) - set(kit.found.side_effects))
    if events:
        raise CheckFailed(f"judging causes {', '.join(events[:5])}")
    if seen["imported"] and seen["first_case_s"] > IMPORT_LIMIT_S:
        took = f"{', '.join(seen['imported'][:5])} ({seen['first_case_s']:.1f} s of its time)"
        raise CheckFailed(f"the first case imports {took}; name what is slow in the class's `imports`")
    return f"{len(rows)} cases under an audit hook"
