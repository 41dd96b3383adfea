"""The conformance kit for pytest, for packages outside Hone.

    # tests/test_colour.py of the outside package
    def test_conformance(check_verifier):
        check_verifier("my_package.colour:ColourVerifier")

Installed with Hone as the entry point `hone_verifiers` of the group `pytest11`; without it: `pytest -p
verifiers.kit.pytest_plugin`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from verifiers.case import Case
from verifiers.verdict import Verdict

CheckVerifier = Callable[..., None]


@pytest.fixture
def check_verifier() -> CheckVerifier:
    """Run every conformance check on one verifier and fail with the table of those that failed.

    ``check_verifier(name, places={"from a Ray actor": judge_in_actor})`` (from
    `rl.experience.verifier_actor`) adds a place.
    """

    def check(
        name: str,
        cases: str | Path | None = None,
        places: Mapping[str, Callable[[Case], Verdict]] | None = None,
    ) -> None:
        from verifiers.kit.conformance import check_conformance

        results = check_conformance(name, Path(cases) if cases is not None else None, places)
        failed = [result for result in results if result.status == "failed"]
        if failed:
            lines = [f"  {result.name}: {result.detail}" for result in failed]
            pytest.fail(f"verifier {name} does not conform:\n" + "\n".join(lines), pytrace=False)

    return check
