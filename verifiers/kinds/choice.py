"""`choice`: multiple choice by letter or by option text, one or several right answers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from verifiers.answer import FinalAnswer
from verifiers.errors import BadReference
from verifiers.expression.text.statement import after_phrase
from verifiers.reading.final_line import MAX_ANSWER_CHARS, boxes, stated_answer
from verifiers.reading.plain_text import normalise
from verifiers.verdict import Verdict
from verifiers.verifier import Example, NoAnswer, Verifier, shown

_PHRASE = re.compile(
    r"(?i:answers?|option|choice|choose|pick|select|correct\s+(?:answer|option|choice))s?\s*(?i:is|are|:|=|：)*\s*\**\s*"
    r"(\(?[A-Z]\)?(?:\s*(?:,|and|&|、)\s*\(?[A-Z]\)?)*)(?![A-Za-z'’])"
    r"|(?<![^\W\d_]\s)(?<![A-Z],\s)(?<!\w)(\(?[A-Z]\)?)\s+is\s+(?:the\s+)?(?:correct|right|best)(?:\s+(?:answer|option|choice))?(?=[.!]?\s*$)"
    r"|(?:答案|选|選|选择|选项|正确答案)\s*(?:是|为|：|:)*\s*([A-Z](?:[\s,、和]*[A-Z])*)(?![A-Za-z])"
)
_LETTERS = re.compile(r"[A-Z()\s,;/&、和]*")
_LED = re.compile(r"\(?([A-Z])[).:：、]\)?\s*(.+)", re.DOTALL)
_SMALL = re.compile(r"(?:option\s+|choice\s+)?[(\[]?([a-z])[)\]]?", re.IGNORECASE)
_OTHER = re.compile(r"(?<![A-Za-z])\(?([A-Z])[).:]|\b(?:option|or|and)\s+\(?([A-Z])\b")


@dataclass(frozen=True)
class ChoiceOptions:
    """score    `exact`: 1 when exactly the right options are named; `jaccard`: |named and right| / |named or right|"""

    score: Literal["exact", "jaccard"] = "exact"


@dataclass(frozen=True)
class ChoiceKey:
    """The right letters, and every option's text in normal form (empty when not declared)."""

    right: frozenset[str]
    texts: Mapping[str, str]


class ChoiceVerifier(Verifier[ChoiceKey, str]):
    """Reference: a letter (`"B"`), several (`"AC"`, `"A, C"`, a list), or a mapping `{"answer": ..., "options":
    {"A": "blue", ...} or ["blue", ...]}`; then the option's text is accepted for its letter. Naming every option,
    or one right and one wrong, scores 0.
    """

    kind = "choice"
    summary = "multiple choice: letters or option text, one or several"
    Config = ChoiceOptions
    example = Example({"answer": "B", "options": ["red", "blue", "green"]}, "(B) blue")

    def prepare(self, reference: Any) -> ChoiceKey:
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
            found = _letters(str(item).strip()) or _by_text(str(item), texts)
            if not found or (texts and not found <= set(texts)):
                raise BadReference(f"the answer of a 'choice' reference is an option's letter, got {item!r}")
            right |= found
        if not right:
            raise BadReference("a reference of 'choice' names no option")
        return ChoiceKey(frozenset(right), texts)

    def extract(self, answer: FinalAnswer) -> str | NoAnswer:
        if len(answer.text) > MAX_ANSWER_CHARS:
            return NoAnswer.too_long(answer.text)
        text = re.sub(r"\s+", " ", answer.text[-20_000:])
        stated = stated_answer(text)
        if not stated:
            return NoAnswer("no_answer", "the stated answer is empty")
        if not boxes(text) and "</answer>" not in text.lower():
            phrases = list(_PHRASE.finditer(stated))
            if phrases:
                tail = stated[phrases[-1].end() : phrases[-1].end() + 80]
                named = next(group for group in phrases[-1].groups() if group)
                hedged = re.match(r"\W*(?:or|and|/)\W*\w", tail)
                return named + tail if hedged else named
            return after_phrase(stated) or stated
        return stated

    def compare(self, prepared: ChoiceKey, extracted: str) -> Verdict:
        named = self._named(extracted, prepared)
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

    def _named(self, text: str, key: ChoiceKey) -> set[str]:
        plain = re.sub(r"\\(?:text|textbf|mathrm|mathbf)\s*\{([^{}]*)\}", r"\1", text).strip(" $*`\"'.。\n")
        plain = re.sub(r"(?<=[A-Z])(?:입니다|이다|です|である)$", "", unicodedata.normalize("NFKC", plain))
        if small := _SMALL.fullmatch(plain):
            plain = small.group(1).upper()
        found = _by_text(plain, key.texts) or _letters(plain)
        if found:
            return found
        led = _LED.fullmatch(plain)
        if led is None or len(led.group(2)) > 2_000:
            return set()
        others = {a or b for a, b in _OTHER.findall(led.group(2))}
        letter, rest = led.group(1), normalise(led.group(2))
        if key.texts:
            # a letter with another option's text names two options
            return {letter} | others | {other for other, words in key.texts.items() if words == rest}
        return {letter} | others

    def reference_answers(self, reference: Any) -> list[str]:
        letters = ", ".join(sorted(self.prepare(reference).right))
        return [letters, f"\\boxed{{{letters}}}", f"The answer is {letters}."]


def _letters(text: str) -> set[str]:
    """Letters of `B`, `(B)`, `A, C`, `A and C`, `AC`; empty for anything else."""
    text = text.strip(" $*.。")
    if len(text) > 200 or not _LETTERS.fullmatch(re.sub(r"(?<![A-Za-z])and(?![A-Za-z])", ",", text)):
        return set()
    return set(re.findall(r"[A-Z]", text))


def _by_text(text: str, texts: Mapping[str, str]) -> set[str]:
    form = normalise(text)
    return {letter for letter, words in texts.items() if words and words == form}
