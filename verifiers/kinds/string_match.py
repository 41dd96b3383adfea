"""`string`: the answer is a given text, or one of a list of accepted texts."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Literal

from verifiers.answer import FinalAnswer
from verifiers.errors import BadReference
from verifiers.reading.final_line import MAX_ANSWER_CHARS, stated_answer
from verifiers.reading.plain_text import normalise
from verifiers.verdict import Verdict
from verifiers.verifier import Example, NoAnswer, Verifier, shown


@dataclass(frozen=True)
class StringOptions:
    """match: `exact` (nothing is changed but outer white space), `normalised` (Unicode NFKC, case folded,
    white space collapsed, LaTeX text wrappers, outer quotes and a final full stop removed), or `loose`
    (normalised, and punctuation and English articles removed)."""

    match: Literal["exact", "normalised", "loose"] = "normalised"


class StringVerifier(Verifier[tuple[str, ...], str]):
    """Score 1 when the stated answer equals the reference, or one of its aliases, as a whole.

    Reference: a text, or a list of accepted texts (also as JSON text). The answer is the last box, else the
    last `<answer>` tag, else the whole final answer; words around it make it wrong.
    """

    kind = "string"
    summary = "text equality: exact, normalised or loose; alias lists"
    Config = StringOptions
    example = Example("Mount Everest", r"\boxed{mount everest}")

    def prepare(self, reference: Any) -> tuple[str, ...]:
        aliases = alias_list(reference, self.kind)
        forms = tuple(dict.fromkeys(normalise(alias, self.config.match) for alias in aliases))
        if not all(forms):
            raise BadReference(f"a reference of {self.kind!r} is empty once normalised: {aliases!r}")
        return forms

    def extract(self, answer: FinalAnswer) -> str | NoAnswer:
        if len(answer.text) > MAX_ANSWER_CHARS:
            return NoAnswer.too_long(answer.text)
        stated = stated_answer(answer.text)
        return stated or NoAnswer("no_answer", "the stated answer is empty")

    def compare(self, prepared: tuple[str, ...], extracted: str) -> Verdict:
        equal = normalise(extracted, self.config.match) in prepared
        return Verdict.scored(
            1.0 if equal else 0.0,
            "equal" if equal else "different",
            f"{shown(extracted, 60)!r} {'equals' if equal else 'is not'} {shown(prepared[0], 60)!r}",
            extracted=shown(extracted),
            tier="text",
        )

    def reference_answers(self, reference: Any) -> list[str]:
        aliases = alias_list(reference, self.kind)
        return [*aliases, *(f"\\boxed{{{alias}}}" for alias in aliases)]


def alias_list(reference: Any, kind: str) -> list[str]:
    """A reference that is one text, a list of texts, or a JSON list of texts. Raises `BadReference`."""
    if isinstance(reference, str) and reference.lstrip().startswith("["):
        try:
            decoded = json.loads(reference)
        except ValueError:
            decoded = None
        if isinstance(decoded, list):
            reference = decoded
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
    return [str(item).strip() for item in items]
