"""Check of a prompt set without a model: does each row's own reference score 1 against itself?"""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

from verifiers.errors import HoneError
from verifiers.registry import BUILT_IN, load_verifier
from verifiers.verifier import Verifier, shown

LIMIT_S = 10.0
MOST_LATE = 3


class _Late(BaseException):
    """Not an `Exception`: a rule that catches those would go on."""


class ReferenceCheck:
    """Judges references against themselves, in this process; keeps the verifiers it has loaded. One that is not Hone's
    has ``limit_s`` for a reference; after ``MOST_LATE`` that were late it is asked no more."""

    def __init__(self, limit_s: float = LIMIT_S) -> None:
        self._limit_s = limit_s
        self._verifiers: dict[str, Verifier[Any, Any]] = {}
        self._late: Counter[str] = Counter()

    def problem(self, name: str, options: Mapping[str, Any], reference: Any) -> str | None:
        """Why this reference cannot be used, or None when it is sound."""
        key = f"{name}{sorted((k, repr(v)) for k, v in options.items())}"
        try:
            if key not in self._verifiers:
                self._verifiers[key] = load_verifier(name, options)
            if self._late[key] == MOST_LATE:
                return f"verifier {name!r} was not asked: it was late on {MOST_LATE} references before"
            with nullcontext() if name in BUILT_IN else _in_time(self._limit_s):
                return _problem(self._verifiers[key], reference)
        except HoneError as why:
            return str(why)
        except _Late:
            self._late[key] += 1
            return f"verifier {name!r} did not judge it within {self._limit_s:g} s: does it hang?"


def _problem(verifier: Verifier[Any, Any], reference: Any) -> str | None:
    prepared = verifier.prepare(reference)
    for text in verifier.reference_answers(reference):
        verdict = verifier.judge_prepared(prepared, text)
        if verdict.score is None:
            return f"written as {shown(text, 60)!r} it cannot be judged: {verdict.reason}"
        if verdict.score != 1.0:
            return f"written as {shown(text, 60)!r} it scores {verdict.score}: {verdict.reason}"
    return None


@contextmanager
def _in_time(limit_s: float) -> Iterator[None]:
    """Raises: _Late. Only the main thread hears the alarm; a call that never comes back to Python ends for nobody."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def late(*_: object) -> None:
        raise _Late

    handler = signal.signal(signal.SIGALRM, late)
    alarm = signal.setitimer(
        signal.ITIMER_REAL, limit_s, 1.0
    )  # again each second: a bare `except` swallows one
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, *alarm)
