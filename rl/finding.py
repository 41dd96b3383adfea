"""One check of the preflight and what came out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from verifiers.errors import HoneError

Outcome = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Finding:
    """What came out, and in words what to do about it."""

    check: str
    outcome: Outcome
    words: str


def guarded(check: str, run: Callable[[], str]) -> Finding:
    """A failed check is a finding; the next check still runs."""
    try:
        return Finding(check, "ok", run())
    except HoneError as error:
        return Finding(check, "failed", str(error))
