"""`choice`: multiple choice by letter or by option text, one or several right answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from verifiers.answer import FinalAnswer
from verifiers.errors import BadReference
from verifiers.kinds.option_statement import named_options
from verifiers.reading.final_line import MAX_ANSWER_CHARS
from verifiers.reading.option_letter import OTHER_CONTENT
from verifiers.reading.plain_text import normalise
from verifiers.verdict import Verdict
from verifiers.verifier import Example, NoAnswer, Verifier, shown


@dataclass(frozen=True)
class ChoiceOptions:
    """score       `exact`: 1 when exactly the right options are named; `jaccard`: |named and right| / |named or right|
    mismatch    a right letter with other content than its option's (`B. 16 cm` where B is 14 cm): `wrong`, or
                `letter` to go by the letter
    """

    score: Literal["exact", "jaccard"] = "exact"
    mismatch: Literal["wrong", "letter"] = "wrong"


@dataclass(frozen=True)
class ChoiceKey:
    """The right letters, and every option's text in normal form (empty when not declared)."""

    right: frozenset[str]
    texts: Mapping[str, str]


def _cure(item: Any, texts: Mapping[str, str]) -> str:
    """How to give an answer that names no option by its letter."""
    if str(item).strip().isdigit():
        return "a number is no letter: the first option is A"
    if texts:
        return f"the letters are {', '.join(sorted(texts))}, and no option has this text"
    return "for an option's text give a mapping {answer: ..., options: [...]}"


class ChoiceVerifier(Verifier[ChoiceKey, str]):
    """Reference: a letter (`"B"`), several (`"AC"`, `"A, C"`, a list), or a mapping `{"answer": ..., "options":
    {"A": "blue", ...} or ["blue", ...]}`; then the option's text is accepted for its letter. Naming every option,
    or one right and one wrong, scores 0.
    """

    kind = "choice"
    summary = "multiple choice: letters or option text, one or several"
    Config = ChoiceOptions
    max_answer_chars = MAX_ANSWER_CHARS
    example = Example({"answer": "B", "options": ["red", "blue", "green"]}, "(B) blue")

    def prepare(self, reference: Any) -> ChoiceKey:
        """The letters that are right, and the texts of the options. Raises: BadReference for an answer that is none of
        them."""
        options: Any = {}
        if isinstance(reference, Mapping):
            if set(reference) - {"answer", "options"} or "answer" not in reference:
                raise BadReference(
                    f"a reference of 'choice' has keys answer and options, got {sorted(reference)}"
                )
            options, reference = reference.get("options") or {}, reference["answer"]
        if isinstance(options, (list, tuple)):
            options = {chr(ord("A") + i): text for i, text in enumerate(options)}
        if not isinstance(options, Mapping) or not all(re.fullmatch("[A-Z]", str(k)) for k in options):
            raise BadReference("options of a 'choice' reference map capital letters to texts")
        texts = {str(letter): normalise(str(text)) for letter, text in options.items()}
        items = reference if isinstance(reference, (list, tuple)) else [reference]
        right: set[str] = set()
        for item in items:
            found = named_options(str(item), texts)
            if not found or OTHER_CONTENT in found or (texts and not found <= set(texts)):
                raise BadReference(
                    f"the answer of a 'choice' reference is an option's letter, got {shown(repr(item), 60)}; "
                    f"{_cure(item, texts)}"
                )
            right |= found
        if not right:
            raise BadReference("a reference of 'choice' names no option")
        return ChoiceKey(frozenset(right), texts)

    def extract(self, answer: FinalAnswer) -> str | NoAnswer:
        return answer.text if answer.text.strip() else NoAnswer("no_answer", "the answer is empty")

    def compare(self, prepared: ChoiceKey, extracted: str) -> Verdict:
        named = named_options(extracted, prepared.texts)
        if self.config.mismatch == "letter":
            named.discard(OTHER_CONTENT)
        if not named:
            return Verdict.unparseable(
                "no_option", f"{shown(extracted, 60)!r} names no option", extracted=shown(extracted)
            )
        if self.config.score == "exact":
            score = float(named == prepared.right)
        else:
            score = len(named & prepared.right) / len(named | prepared.right)
        written, wanted = ", ".join(sorted(named)), ", ".join(sorted(prepared.right))
        code = "equal" if named == prepared.right else "different"
        return Verdict.scored(score, code, f"named {written}, right {wanted}", extracted=written, tier="text")

    def reference_answers(self, reference: Any) -> list[str]:
        letters = ", ".join(sorted(self.prepare(reference).right))
        return [letters, f"\\boxed{{{letters}}}", f"The answer is {letters}."]
