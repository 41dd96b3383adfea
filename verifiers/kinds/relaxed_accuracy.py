"""`relaxed_accuracy` and `count`: numbers read off charts and pictures."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from verifiers.answer import FinalAnswer
from verifiers.errors import BadReference
from verifiers.kinds.number import percent_readings
from verifiers.reading.final_line import MAX_ANSWER_CHARS, stated_answer
from verifiers.reading.plain_text import normalise
from verifiers.reading.quantity import Quantity, read_quantity
from verifiers.verdict import Verdict
from verifiers.verifier import Example, NoAnswer, Verifier, reference_text, shown

_IDENTIFIER = re.compile(r"0\d+|\d{1,4}([-/.])\d{1,2}\1\d{1,4}|.*[A-Za-z]+\d.*")


@dataclass(frozen=True)
class RelaxedOptions:
    """tolerance    accepted relative error of a number
    exact_years  whole numbers of four digits from 1000 to 2999 are years and compared exactly
    """

    tolerance: float = 0.05
    exact_years: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance < 1:
            raise ValueError(f"tolerance is in [0, 1), got {self.tolerance}")


@dataclass(frozen=True)
class ChartValue:
    """What stands there, and the quantity it is; None for text and what is compared exactly (years)."""

    text: str
    number: Quantity | None


class RelaxedAccuracyVerifier(Verifier[ChartValue, ChartValue]):
    """Chart questions: |answer - reference| <= 5% of |reference| for numbers, equal text for the rest.

    Years and identifiers (leading zeros, dates, letters with digits) are compared exactly: 2015 is not 2016.
    Source: ChartQA (Masry et al. 2022, arXiv 2203.10244), after PlotQA; the exact years are this library's.
    """

    kind = "relaxed_accuracy"
    mutations = ("hedge",)
    summary = "chart questions: numbers within 5%, years and text exactly"
    Config = RelaxedOptions
    example = Example("41.5", "42")

    def prepare(self, reference: Any) -> ChartValue:
        return _chart_value(reference_text(reference, self.kind))

    def extract(self, answer: FinalAnswer) -> ChartValue | NoAnswer:
        if len(answer.text) > MAX_ANSWER_CHARS:
            return NoAnswer.too_long(answer.text)
        stated = stated_answer(answer.text)
        return _chart_value(stated) if stated else NoAnswer("no_answer", "the stated answer is empty")

    def compare(self, prepared: ChartValue, extracted: ChartValue) -> Verdict:
        wanted, found = prepared.number, extracted.number
        tier, equal = "text", normalise(prepared.text) == normalise(extracted.text)
        if not equal and wanted is not None and found is not None:
            tier = "numeric"
            allowed = Fraction(0) if self._exact(prepared, wanted) else Fraction(str(self.config.tolerance))
            equal = any(abs(a - b) <= allowed * abs(a) for a, b in percent_readings(wanted, found, "lenient"))
        relation = "matches" if equal else "is not"
        return Verdict.scored(
            float(equal),
            "match" if equal else "different",
            f"{shown(extracted.text, 60)!r} {relation} {shown(prepared.text, 60)!r}",
            extracted=shown(extracted.text),
            confident=tier == "text" or not equal or wanted == found,
            tier=tier,
        )

    def _exact(self, reference: ChartValue, number: Quantity) -> bool:
        year = number.places == 0 and not number.percent and not number.unit and 1000 <= number.value < 3000
        plain_year = year and "," not in reference.text
        return (self.config.exact_years and plain_year) or _IDENTIFIER.fullmatch(reference.text) is not None


def _chart_value(text: str) -> ChartValue:
    number = read_quantity(text)
    if number is not None and _IDENTIFIER.fullmatch(text):
        number = None
    return ChartValue(text, number)


@dataclass(frozen=True)
class CountOptions:
    """score    `exact`: 1 or 0; `relative`: 1 - |answer - reference| / max(reference, 1), not below 0"""

    score: Literal["exact", "relative"] = "exact"


_WORDS = {
    word: value
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
        "sixteen seventeen "
        "eighteen nineteen twenty".split()
    )
} | {"none": 0, "no": 0}


class CountVerifier(Verifier[int, int]):
    """How many: one whole number, in digits or as a word up to twenty; a counted noun may follow (`3 dogs`)."""

    kind = "count"
    summary = "a whole number of things"
    Config = CountOptions
    example = Example(3, "three dogs")

    def prepare(self, reference: Any) -> int:
        count = _count(reference_text(reference, self.kind))
        if count is None:
            raise BadReference(
                f"a reference of 'count' is a whole number that is not negative, got {reference!r}"
            )
        return count

    def extract(self, answer: FinalAnswer) -> int | NoAnswer:
        if len(answer.text) > MAX_ANSWER_CHARS:
            return NoAnswer.too_long(answer.text)
        stated = stated_answer(answer.text)
        count = _count(stated)
        return (
            count
            if count is not None
            else NoAnswer("not_a_count", f"{shown(stated, 60)!r} is not one whole number")
        )

    def compare(self, prepared: int, extracted: int) -> Verdict:
        off = abs(prepared - extracted)
        score = float(off == 0)
        if self.config.score == "relative":
            score = float(max(Fraction(0), 1 - Fraction(off, max(prepared, 1))))
        code = "equal" if off == 0 else "different"
        written = shown(str(extracted), 40) if extracted < 10**40 else "a huge number"
        return Verdict.scored(score, code, f"{written} for {prepared}", extracted=written, tier="exact")


def _count(text: str) -> int | None:
    cleaned = normalise(text)
    first = cleaned.split(" ", 1)[0] if cleaned else ""
    if first in _WORDS and len(cleaned.split()) <= 4:
        rest = cleaned.split()[1:]
        return (
            None
            if any(word in _WORDS or word in ("or", "and", "to", "half") for word in rest)
            else _WORDS[first]
        )
    number = read_quantity(text)
    if number is None or number.percent or number.value.denominator != 1 or number.value < 0:
        return None
    if re.search(r"\b(?:or|and|to|maybe|not)\b", number.unit):
        return None
    return int(number.value)
