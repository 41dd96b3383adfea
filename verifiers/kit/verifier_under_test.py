"""A verifier with its example and its cases, as the checks of the conformance kit take it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from verifiers.answer import FinalAnswer
from verifiers.case import Case
from verifiers.kit.case_table import GoldenCase, read_cases
from verifiers.registry import load_verifier, verifier_class
from verifiers.verdict import Verdict
from verifiers.verifier import Verifier


class CheckFailed(Exception):
    """A check's finding, as the sentence for the table."""


class VerifierUnderTest:
    """The class called `name`, with the cases of the table at `path` if there is one."""

    def __init__(self, name: str, path: Path | None) -> None:
        self.name, self.path = name, path
        self.found = verifier_class(name)
        self.cases = read_cases(path) if path is not None else []
        self._verifiers: dict[str, Verifier[Any, Any]] = {}
        self.example = GoldenCase.of_example(self.found)

    def verifier(self, options: Mapping[str, Any]) -> Verifier[Any, Any]:
        """The verifier with these options, loaded once."""
        key = json.dumps(options, sort_keys=True)
        if key not in self._verifiers:
            self._verifiers[key] = load_verifier(self.name, options)
        return self._verifiers[key]

    def judge(self, case: GoldenCase) -> Verdict:
        return self.verifier(case.options).judge(case.reference, case.answer)

    def example_case(self, case_id: str) -> Case:
        """The example as a case for a service."""
        example = self.example
        return Case(case_id, self.name, dict(example.options), example.reference, FinalAnswer(example.answer))

    def require_example(self, verdict: Verdict, where: str) -> None:
        """Raises: CheckFailed where this verdict on the example has not the example's score."""
        if verdict.score != self.example.score:
            raise CheckFailed(
                f"the example scores {verdict.score} {where}, not {self.example.score}: {verdict.reason}"
            )
