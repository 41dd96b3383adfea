"""Check of a prompt set without a model: does each row's own reference score 1 against itself?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from verifiers.errors import HoneError
from verifiers.registry import load_verifier
from verifiers.verifier import Verifier, shown


class ReferenceCheck:
    """Judges references against themselves; keeps the verifiers it has loaded."""

    def __init__(self) -> None:
        self._verifiers: dict[str, Verifier[Any, Any]] = {}

    def problem(self, name: str, options: Mapping[str, Any], reference: Any) -> str | None:
        """Why this reference cannot be used, or None when it is sound."""
        try:
            key = f"{name}{sorted((k, repr(v)) for k, v in options.items())}"
            if key not in self._verifiers:
                self._verifiers[key] = load_verifier(name, options)
            verifier = self._verifiers[key]
            prepared = verifier.prepare(reference)
            for text in verifier.reference_answers(reference):
                verdict = verifier.judge_prepared(prepared, text)
                if verdict.score != 1.0:
                    return f"written as {shown(text, 60)!r} it scores {verdict.score}: {verdict.reason}"
        except HoneError as why:
            return str(why)
        return None
