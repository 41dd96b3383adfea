"""`math`: first version; the stated answer as text or as one exact number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from verifiers.answer import FinalAnswer
from verifiers.final_line import MAX_ANSWER_CHARS, stated_answer
from verifiers.kinds.number import percent_readings
from verifiers.kinds.string_match import normalise
from verifiers.quantity import Quantity, read_quantity
from verifiers.verdict import Verdict
from verifiers.verifier import Example, NoAnswer, NoOptions, Verifier, reference_text, shown


@dataclass(frozen=True)
class MathValue:
    text: str
    number: Quantity | None


class MathVerifier(Verifier[MathValue, MathValue]):
    """Score 1 when the last box (or the whole answer) is the reference's number or text."""

    kind = "math"
    summary = "mathematical answers up to equivalence"
    Config = NoOptions
    example = Example("1/2", r"\boxed{0.5}")

    def prepare(self, reference: Any) -> MathValue:
        text = stated_answer(reference_text(reference, self.kind))
        return MathValue(text, read_quantity(text))

    def extract(self, answer: FinalAnswer) -> MathValue | NoAnswer:
        if len(answer.text) > MAX_ANSWER_CHARS:
            return NoAnswer("limit", f"the answer has {len(answer.text)} characters", limit=True)
        stated = stated_answer(answer.text)
        if not stated:
            return NoAnswer("no_answer", "the stated answer is empty")
        return MathValue(stated, read_quantity(stated))

    def compare(self, prepared: MathValue, extracted: MathValue) -> Verdict:
        tier = "text"
        equal = normalise(prepared.text) == normalise(extracted.text)
        if not equal and prepared.number is not None and extracted.number is not None:
            tier = "exact"
            equal = any(a == b for a, b in percent_readings(prepared.number, extracted.number, "lenient"))
        reason = (
            f"{shown(extracted.text, 60)!r} {'equals' if equal else 'is not'} {shown(prepared.text, 60)!r}"
        )
        return Verdict.scored(
            float(equal),
            "equal" if equal else "different",
            reason,
            extracted=shown(extracted.text),
            tier=tier,
        )

    def reference_answers(self, reference: Any) -> list[str]:
        return [f"\\boxed{{{reference}}}"]
