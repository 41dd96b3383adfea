"""A plug-in verifier that hangs, as `sleepy_number:SleepyNumber` in a data set: on wrong answers, or on all."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verifiers.kinds.number import NumberVerifier
from verifiers.verdict import Verdict


@dataclass(frozen=True)
class SleepyOptions:
    """hangs_if_wrong: never comes back from a wrong answer; hangs_while: from none, while that file is there"""

    hangs_if_wrong: bool = False
    hangs_while: str = ""


class SleepyNumber(NumberVerifier):
    """`number` without options of its own, and with the fault of never coming back."""

    kind = "sleepy_number"
    Config = SleepyOptions

    def prepare(self, reference: Any) -> Any:
        return NumberVerifier().prepare(reference)

    def extract(self, answer: Any) -> Any:
        return NumberVerifier().extract(answer)

    def compare(self, prepared: Any, extracted: Any) -> Verdict:
        verdict = NumberVerifier().compare(prepared, extracted)
        wrong = self.config.hangs_if_wrong and verdict.score != 1.0
        while wrong or (self.config.hangs_while and Path(self.config.hangs_while).exists()):
            time.sleep(0.1)
        return verdict
