"""The root of Hone's exception tree.

    Exception
    └── HoneError                 something Hone reports in one line            -> exit status 1
        └── BadInput              the user's to fix; the message says how       -> exit status 2
            ├── BadReference      a reference no verifier could ever match
            ├── BadOption         an option with an unknown name or a wrong value
            └── UnknownVerifier   no verifier of that name; the near name is given

`BadInput` is also a `ValueError`. Higher floors hang their own errors under `HoneError`. Nothing a model
writes raises any of these: a bad response is data (a `Verdict`), not an exception.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HoneError(Exception):
    """Base of every error that Hone raises on purpose."""


class BadInput(HoneError, ValueError):
    """The user's fault: one clear line that says what to change."""


class BadReference(BadInput):
    """A reference that cannot be parsed or that no answer could match; raised by `Verifier.prepare`."""


class BadOption(BadInput):
    """A verifier option with an unknown name or a value of the wrong type or range."""


class UnknownVerifier(BadInput):
    """No verifier of that name."""


def slip_of(wanted: str, given: Iterable[str]) -> str:
    """A hint such as `; is 'respnse' a slip of it?` where something like what is wanted is there instead."""
    close = difflib.get_close_matches(wanted, list(given), n=1, cutoff=0.6)
    return f"; is {close[0]!r} a slip of it?" if close else ""


def near_name(name: str, known: Iterable[str]) -> str:
    """A hint such as `; did you mean 'math'?`, or an empty string when nothing is near."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
