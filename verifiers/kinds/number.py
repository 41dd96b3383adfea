"""`number`: one number, exact or within a stated tolerance, with a unit if wanted."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from verifiers.answer import FinalAnswer
from verifiers.errors import BadReference
from verifiers.expression.values.stated_quantity import stated_quantity
from verifiers.reading.final_line import MAX_ANSWER_CHARS, stated_answer
from verifiers.reading.quantity import Quantity, read_quantity
from verifiers.verdict import Verdict
from verifiers.verifier import Example, NoAnswer, Verifier, reference_text, shown


@dataclass(frozen=True)
class NumberOptions:
    """rel_tol, abs_tol  accepted |answer - reference| <= max(rel_tol * |reference|, abs_tol); both 0: exact
    percent           `strict`: 12% is 0.12 and nothing else; `lenient`: the sign may be left out on either side
    units             `ignore`: whatever unit stands behind is dropped; `convert`: units are converted (pint), one
                      that is missing or of another dimension scores 0; `same`: the unit's text must be the same
    """

    rel_tol: float = 0.0
    abs_tol: float = 0.0
    percent: Literal["strict", "lenient"] = "lenient"
    units: Literal["ignore", "convert", "same"] = "ignore"

    def __post_init__(self) -> None:
        if not (0 <= self.rel_tol < 1 and 0 <= self.abs_tol < float("inf")):
            raise ValueError("rel_tol is in [0, 1) and abs_tol is not negative")


class NumberVerifier(Verifier[Quantity, Quantity]):
    """Score 1 when the answer is the reference's number, compared as exact rationals (never as floats).

    Reference: a number or its text (`"1,234.5"`, `"12%"`, `"5 km/h"`, `"3/4"`). The answer is what the last
    `<answer>` tag holds, else the last box, else the whole final answer; it must be one number, with a unit at
    most, in words or digits, alone, behind `the answer is`, or the only number of a sentence.
    """

    kind = "number"
    summary = "one number: exact or within a tolerance; percent, separators, units"
    Config = NumberOptions
    max_answer_chars = MAX_ANSWER_CHARS
    example = Example("1234.5", r"\boxed{1,234.50}")

    def __init__(self, config: Any = None, **options: Any) -> None:
        super().__init__(config, **options)
        if getattr(self.config, "units", None) == "convert":  # a subclass may have options of its own
            self.imports = ("verifiers.reading.unit",)

    @property
    def _letters(self) -> str:
        """Letters close behind a number that stand for thousands; `5K` are kelvins where units count."""
        return "kK" if getattr(self.config, "units", "ignore") == "ignore" else "k"

    def prepare(self, reference: Any) -> Quantity:
        text = reference_text(reference, self.kind)
        found = read_quantity(text, self._letters)
        if found is None:
            raise BadReference(f"a reference of {self.kind!r} is one number, got {shown(text, 60)!r}")
        if self.config.units == "convert" and found.unit:
            from verifiers.reading.unit import parse_unit

            if parse_unit(found.unit) is None:
                raise BadReference(f"the unit {found.unit!r} of a {self.kind!r} reference is not known")
        return found

    def extract(self, answer: FinalAnswer) -> Quantity | NoAnswer:
        stated = stated_answer(answer.text)
        found = stated_quantity(stated, self._letters)
        if found is None:
            return NoAnswer("not_a_number", f"{shown(stated, 60)!r} is not one number")
        return found

    def compare(self, prepared: Quantity, extracted: Quantity) -> Verdict:
        equal, code = self._compare_values(prepared, extracted)
        exact = self.config.rel_tol == 0 and self.config.abs_tol == 0
        written = f"{_short(extracted.value)}{'%' if extracted.percent else ''} {extracted.unit}".strip()
        return Verdict.scored(
            1.0 if equal else 0.0,
            code,
            f"{written} {'equals' if equal else 'is not'} {_short(prepared.value)}"
            f"{'%' if prepared.percent else ''} {prepared.unit}".rstrip(),
            extracted=written,
            tier="exact" if exact else "numeric",
        )

    def _compare_values(self, wanted: Quantity, found: Quantity) -> tuple[bool, str]:
        if self.config.units == "same" and wanted.unit != found.unit:
            return False, "different_unit"
        if self.config.units == "convert" and (wanted.unit or found.unit):
            from verifiers.reading.unit import conversion

            converted = conversion(found.unit, wanted.unit, found.value)
            if converted is None:
                return False, "different_unit"
            return (True, "equal") if self._near(wanted.value, converted) else (False, "different")
        for a, b in percent_readings(wanted, found, self.config.percent):
            if self._near(a, b):
                return True, "equal"
        return False, "different"

    def _near(self, wanted: Fraction, found: Fraction) -> bool:
        if wanted == found or not (self.config.rel_tol or self.config.abs_tol):
            return wanted == found
        allowed = max(Fraction(self.config.rel_tol) * abs(wanted), Fraction(self.config.abs_tol))
        return abs(wanted - found) <= allowed

    def reference_answers(self, reference: Any) -> list[str]:
        return [str(reference), f"\\boxed{{{reference}}}"]


def percent_readings(wanted: Quantity, found: Quantity, policy: str) -> list[tuple[Fraction, Fraction]]:
    """Pairs (reference value, answer value) that may be compared under a percent policy.

    `lenient` lets the sign be left out on either side, as graders of school mathematics do; a plain reference
    of at most 1 is a share, so there the sign counts (`0.5%` is not `0.5`).
    """
    readings = [(wanted.fraction_of_one, found.fraction_of_one)]
    sign_missing = policy == "lenient" and wanted.percent != found.percent
    if sign_missing and (wanted.percent or abs(wanted.value) > 1):
        readings.append((wanted.value, found.value))
    return readings


def _short(value: Fraction) -> str:
    if value.denominator == 1:
        text = str(value.numerator) if value.numerator.bit_length() < 300 else "a huge integer"
        return text
    if value.numerator.bit_length() > 1000 or value.denominator.bit_length() > 1000:
        return "a huge fraction"
    return f"{float(value):.12g}"
