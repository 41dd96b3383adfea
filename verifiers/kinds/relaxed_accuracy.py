"""`relaxed_accuracy` and `count`: numbers read off charts and pictures."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from verifiers.answer import FinalAnswer
from verifiers.errors import BadReference
from verifiers.expression.text.doubt.hedge import HEDGE
from verifiers.expression.text.doubt.unstated import is_unstated, withdrawn
from verifiers.expression.text.number_words import has_cardinal
from verifiers.expression.text.outer_mark import MAX_LINE
from verifiers.expression.text.statement import stated_texts
from verifiers.expression.values.stated_quantity import stated_quantity
from verifiers.kinds.number import percent_readings
from verifiers.reading.final_line import MAX_ANSWER_CHARS, stated_answer
from verifiers.reading.plain_text import normalise
from verifiers.reading.quantity import Quantity, read_quantity
from verifiers.verdict import Verdict
from verifiers.verifier import Example, NoAnswer, Verifier, reference_text, shown

_SCALE_LETTERS = "kKMBT"
_ITEMS = re.compile(r"\s*(?:,\s+|;\s*|,(?!\d{3}(?!\d))|\n|\band\b|&)\s*")
_YES_NO = re.compile(r"(yes|no)([,.;:])\s+(?!.*\b(?:yes|no)\b)(.+)", re.IGNORECASE | re.DOTALL)
_PRONOUN = r"(?:it|they|he|she|there|this|that|these|those|we|you|i)"
_NOT = r"(?:not\b|never\b|cannot\b|[a-z]{2,6}n['’]t\b)"
_DENIES = re.compile(  # another sentence denies only what it points back to
    rf"[.]{_PRONOUN}\s(?:\w{{1,6}}\s)?{_NOT}|[,;:](?:(?!because|since|as\b|but)[^\s,.;:]+\s+){{0,6}}?{_NOT}",
    re.IGNORECASE,
)
_AFFIRMS = re.compile(
    rf".{_PRONOUN}\s(?:is|are|was|were|does|do|did|has|have|had|can|will)\W*", re.IGNORECASE
)
_IDENTIFIER = re.compile(r"0\d+|\d{1,4}([-/.])\d{1,2}\1\d{1,4}|(?:\S{1,40} ){0,2}\S*[A-Za-z]\d\S*")
_NOT_ONE = re.compile(
    r"[.;:!?\n]|n['’]t\b|\b(?:and|but|while|not|no|than|wrong|incorrect|false)\b", re.IGNORECASE
)
# The highest is Peru, Peru has the highest bar: the one thing that a sentence names
_IS = re.compile(r"[^\n]{1,200}?\b(?:is|are|was|were)\s+(?:the\s+)?(\S[^\n]{0,60})", re.IGNORECASE)
_HAS_MOST = re.compile(
    r"(\S[^\n]{0,60}?)\s+(?:is|are|was|were|has|have|had|shows|reached)\s+the\s+(?:\w{2,12}est|most|least)\b[^\n]{0,100}",
    re.IGNORECASE,
)


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
    max_answer_chars = MAX_ANSWER_CHARS
    example = Example("41.5", "42")

    def prepare(self, reference: Any) -> ChartValue:
        text = reference_text(reference, self.kind)
        return ChartValue(text, _chart_number(text, read_quantity(text, _SCALE_LETTERS)))

    def extract(self, answer: FinalAnswer) -> ChartValue | NoAnswer:
        stated = stated_answer(answer.text)
        if not stated:
            return NoAnswer.empty()
        return ChartValue(stated, _chart_number(stated, stated_quantity(stated, _SCALE_LETTERS)))

    def compare(self, prepared: ChartValue, extracted: ChartValue) -> Verdict:
        tier, equal = "text", _same_text(prepared.text, extracted.text)
        if not equal:
            tier, equal = "numeric", self._near(prepared, extracted) or self._same_items(prepared, extracted)
        relation = "matches" if equal else "is not"
        return Verdict.scored(
            float(equal),
            "match" if equal else "different",
            f"{shown(extracted.text, 60)!r} {relation} {shown(prepared.text, 60)!r}",
            extracted=shown(extracted.text),
            confident=tier == "text" or not equal or prepared.number == extracted.number,
            tier=tier if prepared.number is not None or equal else "text",
        )

    def _near(self, prepared: ChartValue, extracted: ChartValue) -> bool:
        wanted, found = prepared.number, extracted.number
        if wanted is None or found is None:
            return False
        allowed = Fraction(0) if self._exact(prepared, wanted) else Fraction(str(self.config.tolerance))
        return any(abs(a - b) <= allowed * abs(a) for a, b in percent_readings(wanted, found, "lenient"))

    def _same_items(self, prepared: ChartValue, extracted: ChartValue) -> bool:
        """`[2019, 2020]` and `2019, 2020`: as many values, each near its own, in this order."""
        wanted, found = _items(prepared.text), _items(stated_texts(extracted.text)[-1])
        if not 2 <= len(wanted) == len(found):
            return False
        for a, b in zip(wanted, found, strict=True):
            one, other = (
                ChartValue(text, _chart_number(text, read_quantity(text, _SCALE_LETTERS))) for text in (a, b)
            )
            if not (_same_text(a, b) or self._near(one, other)):
                return False
        return True

    def _exact(self, reference: ChartValue, number: Quantity) -> bool:
        year = number.places == 0 and not number.percent and not number.unit and 1000 <= number.value < 3000
        plain_year = year and "," not in reference.text
        return (self.config.exact_years and plain_year) or _IDENTIFIER.fullmatch(reference.text) is not None


def _chart_number(text: str, number: Quantity | None) -> Quantity | None:
    """None for what is compared as text: years apart, an identifier is no number."""
    return None if number is None or _IDENTIFIER.fullmatch(text.strip()) else number


def _same_text(wanted: str, stated: str) -> bool:
    """Equal as texts; `Yes, it does.` is yes."""
    form = normalise(wanted)
    if any(normalise(text) == form for text in (*stated_texts(stated), *_named(stated))):
        return True
    led = _YES_NO.fullmatch(stated.strip("* ").replace("**", "")) if form in ("yes", "no") else None
    return led is not None and led.group(1).lower() == form and not _takes_back(form, led)


def _takes_back(form: str, led: re.Match[str]) -> bool:
    """`Yes, it is not`; `No, it is`."""
    clause = led.group(2) + led.group(3)
    return bool(_DENIES.match(clause) if form == "yes" else _AFFIRMS.fullmatch(clause))


def _named(stated: str) -> list[str]:
    """What a single sentence is about or says of it; nothing where it denies, hedges or names two things."""
    sentence = stated.strip().rstrip(".").replace("**", "")
    if len(sentence) > 300 or _NOT_ONE.search(sentence) or HEDGE.search(sentence):
        return []
    if most := _HAS_MOST.fullmatch(sentence):
        return [most.group(1), re.sub(r"^(?:the|a)\s", "", most.group(1), flags=re.IGNORECASE)]
    said = _IS.fullmatch(sentence)
    if said is None or re.search(r"\b(?:is|are|was|were)\b", said.group(1)):
        return []
    return [] if withdrawn(sentence) or is_unstated(sentence[: said.start(1)]) else [said.group(1)]


def _items(text: str) -> list[str]:
    """The values of a list, with or without brackets."""
    bare = re.sub(r"[^\S\n]+", " ", text.strip())
    if len(bare) > 1 and bare[0] + bare[-1] in ("[]", "()", "{}"):
        bare = bare[1:-1]
    return [part.strip(" '\"*") for part in _ITEMS.split(bare[:MAX_LINE])] if len(bare) <= MAX_LINE else []


@dataclass(frozen=True)
class CountOptions:
    """score    `exact`: 1 or 0; `relative`: 1 - |answer - reference| / max(reference, 1), not below 0; `difference`:
             1 - |answer - reference| / span, not below 0, so being off by one costs as much whatever the count
    span     of `difference`: how far off is worth 0
    """

    score: Literal["exact", "relative", "difference"] = "exact"
    span: int = 5

    def __post_init__(self) -> None:
        if self.span < 1:
            raise ValueError(f"span is at least 1, got {self.span}")


# none, no dogs, there are no dogs in the picture; not no idea
_NONE = re.compile(
    r"(?:no, (?=there))?(?:(?:there (?:are|is|were|was)|i (?:can )?(?:see|count)|the answer is|answer:)\s+)?"
    r"(?:none|nil|nothing|zero"
    r"|none of the [^\W\d_]{2,20}(?: [^\W\d_]{2,20})? (?:are|is|have|has|wears?)(?: [^\W\d_]{1,20}){1,5}|"
    r"no\s+(?!(?:idea|answer|clue|way|information|number|one|single|doubt|need|more|fewer|less|problem|longer|sign|matter"
    r"|comment|result|data|count|image|picture|evidence|response|output|content|reason|clear|good|relevant|obvious)\b)"
    r"[^\W\d_]{2,20}(?:\s+[^\W\d_]{2,20}){0,6})|(?:没有|沒有)[^\W\d_]{0,12}"
)
_NOT_NONE = re.compile(
    r"\b(?:but|except|other|than|or|of the (?:above|options|answers|choices|information)|of these|not sure|idea|only"
    r"|without|and (?:an?|one|some|several|many|few|another|the))\b"
)


class CountVerifier(Verifier[int, int]):
    """How many: one whole number, in digits or words, alone, behind `Answer:` or in a sentence (`There are 3 dogs.`);
    a counted noun may follow. `no dogs` and `none` are 0. A count that is near is worth something with `relative`
    or `difference`, by the absolute difference as in Kimi K2.5 (arXiv 2602.02276).
    """

    kind = "count"
    summary = "a whole number of things"
    Config = CountOptions
    max_answer_chars = MAX_ANSWER_CHARS
    example = Example(3, "three dogs")

    def prepare(self, reference: Any) -> int:
        count = _count(reference_text(reference, self.kind))
        if count is None:
            raise BadReference(
                f"a reference of 'count' is a whole number that is not negative, got {reference!r}"
            )
        return count

    def extract(self, answer: FinalAnswer) -> int | NoAnswer:
        stated = stated_answer(answer.text)
        count = _count(stated)
        return (
            count
            if count is not None
            else NoAnswer("not_a_count", f"{shown(stated, 60)!r} is not one whole number")
        )

    def compare(self, prepared: int, extracted: int) -> Verdict:
        off = abs(prepared - extracted)
        worthless = {"exact": 1, "relative": max(prepared, 1), "difference": self.config.span}[
            self.config.score
        ]
        score = float(max(Fraction(0), 1 - Fraction(off, worthless)))
        code = "equal" if off == 0 else "different"
        written = shown(str(extracted), 40) if extracted < 10**40 else "a huge number"
        return Verdict.scored(score, code, f"{written} for {prepared}", extracted=written, tier="exact")


def _count(text: str) -> int | None:
    """The count that a text states, or None."""
    plain = normalise(text[-MAX_LINE:]).replace("*", "")
    plain = re.sub(r"^there (are|is)(?:n't| not) (?:any|an?)\b", r"there \1 no", plain)
    plain = re.sub(r"^i (?:do not|don't|cannot|can't) see (?:any|an?)\b", "i see no", plain)
    text = re.sub(r"^(there is (?:only )?)a single\b", r"\g<1>one", text.strip(), flags=re.IGNORECASE)
    if _NONE.fullmatch(plain):
        return None if _NOT_NONE.search(plain) or has_cardinal(plain) else 0
    return _whole(stated_quantity(text, "kK"))


def _whole(number: Quantity | None) -> int | None:
    if number is None or number.percent or number.value.denominator != 1 or number.value < 0:
        return None
    return int(number.value)
