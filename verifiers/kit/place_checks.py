"""Checks of the conformance kit that judge in another place: a thread, asyncio, another process, a Ray actor."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import threading
from collections.abc import Callable
from dataclasses import replace

from verifiers.answer import FinalAnswer
from verifiers.case import Case
from verifiers.kit.audited_run import audit
from verifiers.kit.hostile_pack import hostile_answers
from verifiers.kit.verifier_under_test import CheckFailed, VerifierUnderTest
from verifiers.service.service import VerifierService
from verifiers.verdict import Verdict
from verifiers.verifier import shown

IMPORT_LIMIT_S = 1.0
END_LIMIT_S, AT_ONCE = 10.0, 32
THREAD_LIMIT_S = 30.0


def in_time(kit: VerifierUnderTest) -> str:
    """Whether every answer that other checks judge here is judged at all, in a process that can be killed."""
    example = kit.example_case("the example")
    asked = [example]
    for number, case in enumerate(kit.cases, 1):
        answer = FinalAnswer(case.answer)
        asked.append(Case(f"case {number}", kit.name, dict(case.options), case.reference, answer))
    for name, text in hostile_answers().items():
        asked.append(replace(example, case_id=f"hostile answer {name!r}", answer=FinalAnswer(text)))
    with VerifierService(num_workers=1, timeout_s=END_LIMIT_S) as service:
        for start in range(0, len(asked), AT_ONCE):
            submitted = [(one, service.submit(one)) for one in asked[start : start + AT_ONCE]]
            late = next((one for one, verdict in submitted if verdict.result().status == "timeout"), None)
            if late is not None:
                raise CheckFailed(
                    f"{late.case_id} is not judged within {END_LIMIT_S:g} s: nothing else was asked"
                )
    return f"{len(asked)} answers"


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
