"""What a second worker of the service is worth, beside what the machine gives any second process.

Short slices alternate (one worker, two workers, one, two, ...), medians of paired ratios are what to read, and a pair
counts only where other processes (and the host: steal) took little of the machine meanwhile.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from verifiers.answer import FinalAnswer
from verifiers.case import Case
from verifiers.kit.case_table import GoldenCase, math_cases
from verifiers.registry import load_verifier
from verifiers.service.service import VerifierService
from verifiers.verdict import Verdict
from verifiers.verifier import Example, Verifier

TABLE_SIZE, SLICE_CASES = 500, 1_000
QUIET_CORES = 0.1  # taken by others
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@cache
def _table() -> list[GoldenCase]:
    return math_cases(TABLE_SIZE)


@cache
def _prepared() -> list[Any]:
    return [load_verifier("math").prepare(row.reference) for row in _table()]


class WholeSliceVerifier(Verifier[int, str]):
    """Judges the slice's cases within one case: a worker's work without the service around it."""

    kind = "whole_slice"
    example = Example(1, "")

    def prepare(self, reference: int) -> int:
        return reference

    def extract(self, answer: FinalAnswer) -> str:
        return answer.text

    def compare(self, prepared: int, extracted: str) -> Verdict:
        table, judge = _table(), load_verifier("math")
        references = _prepared()
        for index in range(prepared):
            judge.judge_prepared(references[index % len(table)], table[index % len(table)].answer)
        return Verdict.scored(1.0, "judged", f"{prepared} cases")


@dataclass(frozen=True)
class Slice:
    """One slice: cases/s through the service and by bare processes; CPU seconds; cores that others took."""

    rate: float
    bare_rate: float
    parent_cpu_s: float
    worker_cpu_s: float
    others_cores: float


@dataclass(frozen=True)
class Scaling:
    """Pairs of slices, with one and with two workers; `str` gives medians over the quiet ones."""

    pairs: tuple[tuple[Slice, Slice], ...]

    @property
    def quiet(self) -> list[tuple[Slice, Slice]]:
        return [pair for pair in self.pairs if max(one.others_cores for one in pair) < QUIET_CORES]

    def rates(self) -> dict[int, float]:
        """Median cases/s of the service by number of workers."""
        pairs = self.quiet or self.pairs
        return {count: statistics.median(pair[count - 1].rate for pair in pairs) for count in (1, 2)}

    def __str__(self) -> str:
        pairs = self.quiet or list(self.pairs)
        lines = [
            f"{len(self.quiet)} of {len(self.pairs)} pairs quiet" + ("" if self.quiet else "; all shown")
        ]
        for count, rate in self.rates().items():
            slices = [pair[count - 1] for pair in pairs]
            parent_s = statistics.fmean(one.parent_cpu_s for one in slices) / SLICE_CASES
            worker_s = statistics.fmean(one.worker_cpu_s for one in slices) / SLICE_CASES
            bare = statistics.median(one.bare_rate for one in slices)
            lines.append(
                f"{count} worker{'s'[: count - 1]}: {rate:,.0f} cases/s, bare processes {bare:,.0f}; "
                f"CPU a case: parent {1000 * parent_s:.3f} ms, worker {1000 * worker_s:.3f} ms"
            )
        lines.append(
            f"two cores that are whole would give at most {2 * worker_s / (worker_s + parent_s):.2f} by that CPU time"
        )
        for name, ratios in (
            ("service", sorted(two.rate / one.rate for one, two in pairs)),
            ("bare processes", sorted(two.bare_rate / one.bare_rate for one, two in pairs)),
        ):
            lines.append(
                f"two over one, {name}: median {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
            )
        return "\n".join(lines)


def measure_scaling(num_pairs: int = 12) -> Scaling:
    """Time ``num_pairs`` pairs of slices with one and with two workers."""
    cases = [
        Case(str(i), "math", {}, row.reference, FinalAnswer(row.answer))
        for i, row in ((i, _table()[i % TABLE_SIZE]) for i in range(SLICE_CASES))
    ]
    options: dict[str, Any] = {"timeout_s": 60, "recycle_after": 10**9, "num_spares": 0}
    with VerifierService(1, **options) as one_worker, VerifierService(2, **options) as two_workers:
        for service, count in ((one_worker, 1), (two_workers, 2)):
            _slice(service, count, cases)  # imports and caches
        pairs = [(_slice(one_worker, 1, cases), _slice(two_workers, 2, cases)) for _ in range(num_pairs)]
    return Scaling(tuple(pairs))


def _slice(service: VerifierService, num_workers: int, cases: Sequence[Case]) -> Slice:
    """Judge the cases through the service; then as many in each of bare processes, which speak to nobody meanwhile."""
    name = f"{__name__}:{WholeSliceVerifier.__name__}"
    bare = [Case(str(i), name, {}, len(cases), FinalAnswer("all")) for i in range(num_workers)]
    pids = service.worker_pids()
    busy, workers_cpu, parent_cpu, began = _busy_s(), _cpu_s(pids), time.process_time(), time.perf_counter()
    service.judge_many(cases)
    judged = time.perf_counter()
    parent_cpu_s, worker_cpu_s = time.process_time() - parent_cpu, _cpu_s(pids) - workers_cpu
    service.judge_many(bare)
    ended = time.perf_counter()
    own = time.process_time() - parent_cpu + _cpu_s(pids) - workers_cpu
    return Slice(
        len(cases) / (judged - began),
        num_workers * len(cases) / (ended - judged),
        parent_cpu_s,
        worker_cpu_s,
        (_busy_s() - busy - own) / (ended - began),
    )


def _cpu_s(pids: Sequence[int]) -> float:
    """User and system time of these processes, in steps of a clock tick (10 ms)."""
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return _TICK_S * sum(int(one[11]) + int(one[12]) for one in fields)


def _busy_s() -> float:
    """Time that all cores have been busy or stolen by the host, since the machine started."""
    user, nice, system, _idle, _wait, *rest = Path("/proc/stat").read_text().split("\n")[0].split()[1:]
    return _TICK_S * sum(map(int, (user, nice, system, *rest[:3])))
