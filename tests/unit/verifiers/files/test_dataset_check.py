"""References against their own verifier, where that is somebody else's: late, failing, or not itself."""

from __future__ import annotations

import signal
import time

import pytest

from verifiers.files import dataset_check
from verifiers.files.dataset_check import ReferenceCheck
from verifiers.verdict import Verdict
from verifiers.verifier import Verifier


class Slow(Verifier[str, str]):
    """As a rule that loops, and swallows every exception on its way."""

    kind = "slow"

    def prepare(self, reference: str) -> str:
        return reference

    def extract(self, answer: object) -> str:
        return "answer"

    def compare(self, prepared: str, extracted: str) -> Verdict:
        if prepared == "raises":
            raise ValueError("no such thing")
        if prepared == "hangs":
            try:
                time.sleep(60)
            except Exception:  # noqa: BLE001
                time.sleep(60)
        if prepared == "swallows all":
            try:
                time.sleep(60)
            except:  # noqa: E722
                time.sleep(60)
        return Verdict.scored(1.0 if prepared == "right" else 0.25, "compared", "so it is", tier="text")


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> ReferenceCheck:
    monkeypatch.setattr(dataset_check, "load_verifier", lambda *_: Slow())
    return ReferenceCheck(limit_s=0.2)


def test_a_rule_that_hangs_is_told_and_soon_asked_no_more(check: ReferenceCheck) -> None:
    """One slow reference says nothing of the next; three, that it hangs."""
    began = time.perf_counter()
    late = "verifier 'slow:Slow' did not judge it within 0.2 s: does it hang?"
    not_asked = "verifier 'slow:Slow' was not asked: it was late on 3 references before"
    told = [
        check.problem("slow:Slow", {}, reference)
        for reference in ("hangs", "right", "swallows all", "hangs", "hangs", "right")
    ]
    assert told == [late, None, late, late, not_asked, not_asked]
    assert time.perf_counter() - began < 5
    assert check.problem("slow:Slow", {"another": 1}, "right") is None


def test_what_cannot_be_judged_is_not_called_wrong(check: ReferenceCheck) -> None:
    told = check.problem("slow:Slow", {}, "raises")
    assert (
        told is not None
        and "it cannot be judged: verifier 'slow': compare raised ValueError: no such thing" in told
    )
    assert check.problem("slow:Slow", {}, "other") == "written as 'other' it scores 0.25: so it is"


def test_an_alarm_that_was_set_before_is_set_again(check: ReferenceCheck) -> None:
    signal.signal(signal.SIGALRM, handler := signal.getsignal(signal.SIGALRM))
    alarm = signal.setitimer(signal.ITIMER_REAL, 100.0)
    try:
        assert check.problem("slow:Slow", {}, "right") is None
        assert (
            0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 100 and signal.getsignal(signal.SIGALRM) is handler
        )
    finally:
        signal.setitimer(signal.ITIMER_REAL, *alarm)
