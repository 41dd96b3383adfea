"""`number`: one number, exact or within a stated tolerance, with a unit if wanted."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal

from verifiers.answer import FinalAnswer
from verifiers.errors import BadReference
from verifiers.expression.text.hedge import BOUND, DENIAL_BEHIND, DENIED, HEDGE
from verifiers.expression.text.number_words import PLURAL_PARTS, spelt_number
from verifiers.expression.text.statement import after_phrase, cleaned
from verifiers.reading.final_line import MAX_ANSWER_CHARS, stated_answer
from verifiers.reading.quantity import Quantity, read_quantity
from verifiers.verdict import Verdict
from verifiers.verifier import Example, NoAnswer, Verifier, reference_text, shown

_SCALES = {
    "dozen": 12, "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12,
    "万": 10**4, "亿": 10**8, "億": 10**8,
} | {word: Fraction(1, parts) for word, parts in PLURAL_PARTS.items()}  # fmt: skip
_SCALE_WORDS = "|".join(_SCALES)
_SCALE = re.compile(rf"(\W?)\s*({_SCALE_WORDS})s?(?![a-z])\s*(.*)", re.IGNORECASE)
_NAMED = re.compile(r"[^\d=]{1,60}=\s*([^=]{1,60})")
_NUMERAL = re.compile(
    r"(?<![\w.,/^*+-])[-−]?[$€£¥]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:\s?%|\s?(?:percent|"
    rf"{_SCALE_WORDS})\b)?"
    r"(?![\w/^*+-])",
    re.IGNORECASE,
)
_NO_UNIT = re.compile(r"(?:st|nd|rd|th|or|and)\b|\?")  # 3rd, 64?, 45 or 46
_TIME_BOUND = re.compile(r"\b(?:before|after|since|until)\s+$", re.IGNORECASE)
_MAX_SENTENCE = 300


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

    Reference: a number or its text (`"1,234.5"`, `"12%"`, `"5 km/h"`, `"3/4"`). The answer is the last box, else
    the last `<answer>` tag, else the whole final answer; it must be one number, with a unit at most, in words
    or digits, alone, behind `the answer is`, or the only number of a sentence.
    """

    kind = "number"
    summary = "one number: exact or within a tolerance; percent, separators, units"
    Config = NumberOptions
    example = Example("1234.5", r"\boxed{1,234.50}")

    def __init__(self, config: Any = None, **options: Any) -> None:
        super().__init__(config, **options)
        if getattr(self.config, "units", None) == "convert":  # a subclass may have options of its own
            self.imports = ("verifiers.reading.unit",)

    def prepare(self, reference: Any) -> Quantity:
        text = reference_text(reference, self.kind)
        found = _scaled(read_quantity(text))
        if found is None:
            raise BadReference(f"a reference of {self.kind!r} is one number, got {shown(text, 60)!r}")
        if self.config.units == "convert" and found.unit:
            from verifiers.reading.unit import parse_unit

            if parse_unit(found.unit) is None:
                raise BadReference(f"the unit {found.unit!r} of a {self.kind!r} reference is not known")
        return found

    def extract(self, answer: FinalAnswer) -> Quantity | NoAnswer:
        if len(answer.text) > MAX_ANSWER_CHARS:
            return NoAnswer.too_long(answer.text)
        stated = stated_answer(answer.text)
        found = _stated_quantity(stated)
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
        factor = Fraction(1)
        if self.config.units == "same" and wanted.unit != found.unit:
            return False, "different_unit"
        if self.config.units == "convert" and (wanted.unit or found.unit):
            from verifiers.reading.unit import conversion

            converted = conversion(found.unit, wanted.unit, found.value)
            if converted is None:
                return False, "different_unit"
            return (True, "equal") if self._near(wanted.value, converted) else (False, "different")
        for a, b in percent_readings(wanted, found, self.config.percent):
            if self._near(a, b * factor):
                return True, "equal"
        return False, "different"

    def _near(self, wanted: Fraction, found: Fraction) -> bool:
        allowed = max(Fraction(self.config.rel_tol) * abs(wanted), Fraction(self.config.abs_tol))
        return abs(wanted - found) <= allowed

    def reference_answers(self, reference: Any) -> list[str]:
        return [str(reference), f"\\boxed{{{reference}}}"]


def _scaled(found: Quantity | None) -> Quantity | None:
    """`3.2 million` as 3200000."""
    match = _SCALE.fullmatch(found.unit) if found is not None else None
    if found is None or match is None:
        return found
    currency, word, rest = match.groups()
    unit = f"{currency} {rest}".strip()
    return replace(found, value=found.value * _SCALES[word.lower()], unit=unit, places=None)


def _stated_quantity(stated: str) -> Quantity | None:
    """The one number that a text states; none where words around it take it back."""
    found = read_quantity(stated)
    if found is not None:
        return None if _NO_UNIT.match(found.unit) or DENIAL_BEHIND.match(found.unit) else _scaled(found)
    phrase = after_phrase(stated)
    if phrase is None and len(stated) > _MAX_SENTENCE:
        return None
    text = (phrase or cleaned(stated)).removeprefix("US")
    if match := _NAMED.fullmatch(text):
        text = match.group(1)
    found = read_quantity(text) or read_quantity(spelt_number(text) or "")
    if found is not None:
        return None if _NO_UNIT.match(found.unit) or DENIAL_BEHIND.match(found.unit) else _scaled(found)
    numerals = list(_NUMERAL.finditer(text))
    if len(numerals) != 1 or len(re.findall(r"\d+(?:[.,]\d+)*", text)) != 1 or HEDGE.search(text):
        return None
    before, behind = text[: numerals[0].start()], numerals[0].end()
    if not re.search(r"[^\W\d_]{2}", before) or any(p.search(before) for p in (DENIED, BOUND, _TIME_BOUND)):
        return None
    if DENIAL_BEHIND.match(text, behind):
        return None
    return _scaled(read_quantity(numerals[0].group()))


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
