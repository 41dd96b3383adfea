"""Tables of judged cases (JSONL): what a verifier must say, for the conformance kit and the benchmarks."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verifiers.errors import BadInput, near_name
from verifiers.registry import verifier_class
from verifiers.verifier import Verifier

_GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden" / "verifiers"


@dataclass(frozen=True, slots=True)
class GoldenCase:
    """One row of a case table: `{"reference", "answer", "score"}` and, where needed, `options`, `tag`."""

    reference: Any
    answer: str
    score: float
    options: Mapping[str, Any]
    tag: str

    @classmethod
    def of_example(cls, found: type[Verifier[Any, Any]]) -> GoldenCase:
        """The example of a verifier's class."""
        example = found.example
        return cls(example.reference, example.answer, example.score, example.options, "right")


def read_cases(path: Path) -> list[GoldenCase]:
    """A case table (JSONL). Raises `BadInput` naming the line."""
    cases = []
    if not path.is_file():
        raise BadInput(f"no such case table: {path}")
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            case = GoldenCase(
                row["reference"],
                row["answer"],
                float(row["score"]),
                row.get("options") or {},
                row.get("tag", ""),
            )
        except KeyError as why:
            raise BadInput(
                f"{path.name}, line {number}: no column {why}{near_name(str(why.args[0]), row)}"
            ) from None
        except (ValueError, TypeError) as why:
            raise BadInput(f"{path.name}, line {number}: not a case ({type(why).__name__}: {why})") from None
        cases.append(case)
    return cases


def default_cases(name: str) -> Path | None:
    """Where a verifier's case table is looked for: the golden tables, else `<kind>_cases.jsonl` beside its module."""
    found = verifier_class(name)
    beside = Path(inspect.getfile(found)).parent / f"{found.kind}_cases.jsonl"
    golden = _GOLDEN / f"{found.kind}.jsonl"
    return next((path for path in (beside, golden) if path.is_file()), None)


def math_cases(num_cases: int) -> list[GoldenCase]:
    """Every k-th case of the golden table with default options, hostile ones left out."""
    path = default_cases("math")
    if path is None:
        raise BadInput("the golden table of `math` is not in this checkout")
    cases = [case for case in read_cases(path) if not case.options and case.tag in ("right", "wrong")]
    return cases[:: max(1, len(cases) // num_cases)][:num_cases]
