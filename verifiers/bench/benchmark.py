"""How fast and how right: the `math` verifier beside math-verify.

Runs are interleaved and short, so that a machine's other work falls on all alike; ratios are what to read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from verifiers.kit.case_table import GoldenCase, math_cases
from verifiers.registry import load_verifier


@dataclass(frozen=True)
class Measured:
    """One grader over one set of cases; times are CPU seconds of this process."""

    name: str
    seconds: tuple[float, ...]
    num_right: int
    num_false_positive: int
    num_negative: int

    @property
    def cases_per_s(self) -> float:
        return len(self.seconds) / sum(self.seconds)

    @property
    def accuracy(self) -> float:
        return self.num_right / len(self.seconds)

    @property
    def false_positive_frac(self) -> float:
        """Of answers that are not right, the share that was called right."""
        return self.num_false_positive / max(1, self.num_negative)

    def percentile_ms(self, share: float) -> float:
        """Milliseconds within which that share (0 to 1) of the cases was judged."""
        return 1000 * sorted(self.seconds)[min(len(self.seconds) - 1, int(share * len(self.seconds)))]


def _own(case: GoldenCase) -> float:
    return load_verifier("math").judge(case.reference, case.answer).score or 0.0


def _math_verify(case: GoldenCase) -> float:
    from math_verify import parse, verify

    # Timeouts off: they need SIGALRM on the main thread, and the cases are harmless.
    gold = parse(f"${case.reference}$", parsing_timeout=0)
    return float(verify(gold, parse(case.answer, parsing_timeout=0), timeout_seconds=0))


def compare_graders(num_cases: int = 300, num_rounds: int = 3) -> list[Measured]:
    """`math` and math-verify on the same cases, in alternating slices; the fastest of the rounds counts per case."""
    graders: dict[str, Callable[[GoldenCase], float]] = {"hone math": _own, "math-verify": _math_verify}
    cases = math_cases(num_cases)
    best = {name: [float("inf")] * len(cases) for name in graders}
    given = {name: [0.0] * len(cases) for name in graders}
    for grade in graders.values():
        for case in cases[:5]:
            grade(case)  # imports and caches
    for _ in range(num_rounds):
        for start in range(0, len(cases), 20):
            for name, grade in graders.items():
                for position in range(start, min(start + 20, len(cases))):
                    began = time.process_time()
                    given[name][position] = grade(cases[position])
                    best[name][position] = min(best[name][position], time.process_time() - began)
    return [_measured(name, cases, given[name], best[name]) for name in graders]


def _measured(
    name: str, cases: Sequence[GoldenCase], given: Sequence[float], seconds: Sequence[float]
) -> Measured:
    pairs = list(zip(cases, given, strict=True))
    return Measured(
        name,
        tuple(seconds),
        sum(case.score == score for case, score in pairs),
        sum(case.score == 0 and score == 1 for case, score in pairs),
        sum(case.score == 0 for case in cases),
    )
