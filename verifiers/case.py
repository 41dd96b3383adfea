"""One final answer to judge, and the same on its way through a service."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from verifiers.answer import FinalAnswer
from verifiers.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Case:
    """One final answer to judge. Everything in it is plain JSON, apart from the `FinalAnswer` itself.

    >>> Case("rollout-7", "math", {}, "1/2", FinalAnswer(r"\\boxed{0.5}")).verifier
    'math'
    """

    case_id: str
    verifier: str
    options: Mapping[str, Any]
    reference: Any
    answer: FinalAnswer

    def __post_init__(self) -> None:
        if not isinstance(self.answer, FinalAnswer):  # what has no text would be lost on its way to a worker
            raise TypeError(f"the answer of a case is a FinalAnswer, got {type(self.answer).__name__}")


@dataclass(slots=True)
class Job:
    """A case on its way, with the future that its verdict resolves."""

    case: Case
    key: str
    future: Future[Verdict] = field(default_factory=Future)
    sent_at: float = 0.0
    num_crashes: int = 0

    def resolve(self, verdict: Verdict) -> None:
        """The first verdict counts; a job that was cancelled or given up keeps what it has."""
        if not self.future.done():
            self.future.set_result(verdict)
