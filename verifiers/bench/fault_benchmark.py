"""The service under fire: many cases, some of which hang and some of which kill their worker."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verifiers.answer import FinalAnswer
from verifiers.case import Case
from verifiers.kinds.math_answer import MathVerifier
from verifiers.kit.case_table import math_cases
from verifiers.service.service import VerifierService
from verifiers.verifier import NoAnswer

HANG, DIE = "hang!", "die!"
NUM_WORKERS, FAULT_FRAC, TIMEOUT_S = 2, 0.01, 0.25


class FaultyVerifier(MathVerifier):
    """`math`, but an answer of `hang!` never ends and one of `die!` kills the process."""

    kind = "faulty_math"

    def extract(self, answer: FinalAnswer) -> Any | NoAnswer:
        if answer.text == HANG:
            time.sleep(3600)
        if answer.text == DIE:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().extract(answer)


@dataclass(frozen=True)
class FaultRun:
    """What came back, and what it cost beside the work itself (the cases that answer, and the waits for the hung)."""

    num_cases: int
    num_hung: int
    num_died: int
    outcomes: dict[str, int]
    num_wrong_id: int
    num_differing: int
    wall_s: float
    work_s: float
    leaked_processes: int
    leaked_files: int
    grown_mib: float

    def __str__(self) -> str:
        outcomes = ", ".join(f"{count:,} {status}" for status, count in sorted(self.outcomes.items()))
        ratio = self.wall_s / self.work_s
        return (
            f"{self.num_cases:,} cases, {self.num_hung:,} hang, {self.num_died:,} kill their worker\n"
            f"  came back: {outcomes}; {self.num_wrong_id} under a wrong id, "
            f"{self.num_differing} judged differently than without faults\n"
            f"  wall {self.wall_s:.1f} s, the work itself {self.work_s:.1f} s: ratio {ratio:.2f}\n"
            f"  left behind: {self.leaked_processes} processes, {self.leaked_files} open files; "
            f"this process grew by {self.grown_mib:.0f} MiB"
        )


def run_with_faults(num_cases: int) -> FaultRun:
    """Judge ``num_cases`` cases, ``FAULT_FRAC`` of them hanging and as many dying, in random order.

    The work itself is measured in the same service: the same cases without the faulty ones (wall time), and for each
    hung case its wait of ``TIMEOUT_S``, shared by the workers.
    """
    table = math_cases(500)
    weights = (FAULT_FRAC, FAULT_FRAC, 1 - 2 * FAULT_FRAC)
    kinds = random.Random(0).choices((HANG, DIE, ""), weights, k=num_cases)
    name = f"{FaultyVerifier.__module__}:{FaultyVerifier.__name__}"

    def case(index: int) -> Case:
        row = table[index % len(table)]
        return Case(str(index), name, {}, row.reference, FinalAnswer(kinds[index] or row.answer))

    sound = [index for index in range(num_cases) if not kinds[index]]
    files = _num_open_files()
    pids: set[int] = set()
    with VerifierService(num_workers=NUM_WORKERS, timeout_s=TIMEOUT_S, memory_gib=2) as service:
        service.judge_many(case(index) for index in sound[:200])
        started = time.perf_counter()
        expected = service.judge_many(case(index) for index in sound)
        work_s = time.perf_counter() - started + kinds.count(HANG) * TIMEOUT_S / NUM_WORKERS
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        pids.update(service.worker_pids())
        started = time.perf_counter()
        verdicts = service.judge_many(case(index) for index in range(num_cases))
        wall_s = time.perf_counter() - started
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
        pids.update(service.worker_pids())
    outcomes: dict[str, int] = {}
    for verdict in verdicts.values():
        outcomes[verdict.status] = outcomes.get(verdict.status, 0) + 1
    wanted_status = {HANG: "timeout", DIE: "error"}
    return FaultRun(
        num_cases,
        kinds.count(HANG),
        kinds.count(DIE),
        outcomes,
        num_wrong_id=sum(
            verdicts[str(i)].status != wanted_status[kind] for i, kind in enumerate(kinds) if kind
        )
        + num_cases
        - len(verdicts),
        num_differing=sum(verdicts[str(i)].score != expected[str(i)].score for i in sound),
        wall_s=wall_s,
        work_s=work_s,
        leaked_processes=sum(_is_alive(pid) for pid in pids),
        leaked_files=_num_open_files() - files,
        grown_mib=grown / 1024,
    )


def _is_alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return b"verifiers.service.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def _num_open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
