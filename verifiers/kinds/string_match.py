"""`string`: the answer is a given text, or one of a list of accepted texts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from verifiers.answer import FinalAnswer
from verifiers.errors import BadReference
from verifiers.expression.text.statement import stated_texts
from verifiers.plain_value import number_text
from verifiers.reading.final_line import MAX_ANSWER_CHARS, stated_answer
from verifiers.reading.plain_text import normalise
from verifiers.verdict import Verdict
from verifiers.verifier import Example, NoAnswer, Verifier, shown


@dataclass(frozen=True)
class StringOptions:
    """match    `exact` (nothing is changed but outer white space), `normalised` (Unicode NFKC but for raised and
             lowered characters, case folded, white space collapsed, curly quotes and dashes plain, LaTeX text
             wrappers, outer quotes and marks of emphasis and a final full stop removed), or `loose` (normalised,
             and English articles and punctuation removed, but for signs, points within numbers and operators)
    phrase   `read`: `Answer: Paris` and `The answer is Paris.` state Paris; `keep`: they are other texts
    """

    match: Literal["exact", "normalised", "loose"] = "normalised"
    phrase: Literal["read", "keep"] = "read"


class StringVerifier(Verifier[tuple[str, ...], str]):
    """Score 1 when the stated answer equals the reference, or one of its aliases, as a whole.

    Reference: a text, or a list of accepted texts; a text that looks like a list is a text. The answer is what
    the last `<answer>` tag holds, else the last box, else what an answer phrase (`Answer:`) states at its end, else the
    whole final answer; other words around it make it wrong.
    """

    kind = "string"
    summary = "text equality: exact, normalised or loose; alias lists"
    Config = StringOptions
    max_answer_chars = MAX_ANSWER_CHARS
    example = Example("Mount Everest", r"\boxed{mount everest}")

    def prepare(self, reference: Any) -> tuple[str, ...]:
        aliases = alias_list(reference, self.kind)
        forms = tuple(dict.fromkeys(normalise(alias, self.config.match) for alias in aliases))
        if not all(forms):
            raise BadReference(f"a reference of {self.kind!r} is empty once normalised: {aliases!r}")
        return forms

    def extract(self, answer: FinalAnswer) -> str | NoAnswer:
        stated = stated_answer(answer.text)
        return stated or NoAnswer.empty()

    def compare(self, prepared: tuple[str, ...], extracted: str) -> Verdict:
        equal = any(form in prepared for form in self._forms(extracted))
        return Verdict.scored(
            1.0 if equal else 0.0,
            "equal" if equal else "different",
            f"{shown(extracted, 60)!r} {'equals' if equal else 'is not'} {shown(prepared[0], 60)!r}",
            extracted=shown(extracted),
            tier="text",
        )

    def _forms(self, stated: str) -> list[str]:
        match = self.config.match
        texts = [stated] if match == "exact" or self.config.phrase == "keep" else stated_texts(stated)
        return [normalise(text, match) for text in texts]

    def reference_answers(self, reference: Any) -> list[str]:
        aliases = alias_list(reference, self.kind)
        return [*aliases, *(f"\\boxed{{{alias}}}" for alias in aliases)]


def alias_list(reference: Any, kind: str) -> list[str]:
    """A reference that is one text or number, or a list of them. Raises `BadReference`."""
    items = reference if isinstance(reference, (list, tuple)) else [reference]
    if not items:
        raise BadReference(f"a reference of {kind!r} is an empty list")
    for item in items:
        usable = (
            isinstance(item, (str, int, float))
            and not isinstance(item, bool)
            and bool(str(item).strip("\x00 \n\t"))
        )
        if not usable or (isinstance(item, float) and not math.isfinite(item)):
            raise BadReference(
                f"a reference of {kind!r} is text or a list of texts, got {shown(repr(item), 60)}"
            )
    return [(item if isinstance(item, str) else number_text(item)).strip() for item in items]
