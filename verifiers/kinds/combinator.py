"""`all_of`, `any_of`, `weighted`, `gate`, `cascade`: verifiers made of verifiers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from verifiers.answer import FinalAnswer
from verifiers.errors import BadOption, BadReference
from verifiers.verdict import UNJUDGED, Verdict
from verifiers.verifier import Example, NoAnswer, Verifier, shown

Part = dict[str, Any]
_PART_KEYS = {"name", "verifier", "options", "weight"}


def load_part(part: Any, owner: str) -> tuple[str, Verifier[Any, Any], float]:
    """(name, verifier, weight) of `{"verifier": ..., "options": ..., "name": ..., "weight": ...}`. Raises
    `BadOption`."""
    from verifiers.registry import load_verifier

    if not isinstance(part, Mapping) or "verifier" not in part or set(part) - _PART_KEYS:
        raise BadOption(
            f"a part of {owner!r} has keys verifier, options, name, weight; got {shown(repr(part), 80)}"
        )
    weight = part.get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 <= weight < 1e9:
        raise BadOption(f"a weight of {owner!r} is a number that is not negative, got {weight!r}")
    verifier = load_verifier(str(part["verifier"]), part.get("options") or {})
    return str(part.get("name", part["verifier"])), verifier, float(weight)


@dataclass(frozen=True)
class PartsOptions:
    """parts    a list of `{"verifier": kind, "options": {...}, "name": ..., "weight": ...}`"""

    parts: tuple[dict[str, Any], ...]

    def __post_init__(self) -> None:
        if not self.parts:
            raise ValueError("parts is empty: name at least one {verifier: ...}")


class _Combined(Verifier[Any, FinalAnswer]):
    """Hands the final answer on to its parts; the first part that gives no score decides the status."""

    def __init__(self, config: Any = None, **options: Any) -> None:
        super().__init__(config, **options)
        self.parts = [load_part(part, self.kind) for part in self._part_specs()]
        self.imports = tuple(module for _, verifier, _ in self.parts for module in verifier.imports)
        self.max_seconds = sum(verifier.max_seconds for _, verifier, _ in self.parts)
        names = [name for name, _, _ in self.parts]
        if len(set(names)) < len(names):
            raise BadOption(
                f"two parts of {self.kind!r} have one name; give each its own `name`: {', '.join(names)}"
            )

    def _part_specs(self) -> Sequence[Any]:
        return list(self.config.parts)

    def prepare(self, reference: Any) -> list[Any]:
        """Reference: a mapping part name -> reference, or one reference for all parts."""
        references = self._reference_of_each(reference)
        return [verifier.prepare(own) for (_, verifier, _), own in zip(self.parts, references, strict=True)]

    def _reference_of_each(self, reference: Any) -> list[Any]:
        names = [name for name, _, _ in self.parts]
        if isinstance(reference, Mapping) and set(reference) == set(names):
            return [reference[name] for name in names]
        return [reference] * len(names)

    def extract(self, answer: FinalAnswer) -> FinalAnswer | NoAnswer:
        return answer

    def verdicts(self, prepared: list[Any], answer: FinalAnswer) -> list[Verdict]:
        pairs = zip(self.parts, prepared, strict=True)
        return [verifier.judge_prepared(reference, answer) for (_, verifier, _), reference in pairs]

    def combined(self, verdicts: Sequence[Verdict], score: float, reason: str) -> Verdict:
        """One verdict; a part's timeout or error is the whole's, never a zero."""
        for verdict in verdicts:
            if verdict.status in UNJUDGED:
                return verdict
        scores = {name: v.score or 0.0 for (name, _, _), v in zip(self.parts, verdicts, strict=False)}
        return Verdict.scored(
            min(1.0, max(0.0, score)),
            verdicts[-1].code,
            shown(reason),
            extracted=verdicts[0].extracted,
            confident=all(v.confident for v in verdicts),
            parts=scores,
            tier="combined",
        )

    def reference_answers(self, reference: Any) -> list[str]:
        """Answers that every part accepts in full."""
        prepared = self.prepare(reference)
        references = self._reference_of_each(reference)
        texts = [
            text
            for (_, verifier, _), own in zip(self.parts, references, strict=True)
            for text in verifier.reference_answers(own)
        ]
        return [text for text in dict.fromkeys(texts) if self.judge_prepared(prepared, text).score == 1.0]


def _joined(verdicts: Sequence[Verdict]) -> str:
    return "; ".join(verdict.reason for verdict in verdicts)


class AllOfVerifier(_Combined):
    """score = the lowest of the parts' scores: every part must agree."""

    kind = "all_of"
    summary = "every part must agree: the lowest score"
    Config = PartsOptions
    example = Example("12", "12", options={"parts": [{"verifier": "number"}, {"verifier": "string"}]})

    def compare(self, prepared: list[Any], extracted: FinalAnswer) -> Verdict:
        verdicts = self.verdicts(prepared, extracted)
        return self.combined(verdicts, min((v.score or 0.0) for v in verdicts), _joined(verdicts))


class WeightedVerifier(_Combined):
    """score = sum(weight * score) / sum(weights)."""

    kind = "weighted"
    summary = "weighted mean of the parts' scores"
    Config = PartsOptions
    example = Example(
        "12",
        "12",
        options={"parts": [{"verifier": "number", "weight": 3}, {"verifier": "string", "weight": 1}]},
    )

    def __init__(self, config: Any = None, **options: Any) -> None:
        super().__init__(config, **options)
        if not sum(weight for _, _, weight in self.parts):
            raise BadOption("the weights of 'weighted' sum to 0")

    def compare(self, prepared: list[Any], extracted: FinalAnswer) -> Verdict:
        verdicts = self.verdicts(prepared, extracted)
        weights = [weight for _, _, weight in self.parts]
        score = sum(w * (v.score or 0.0) for w, v in zip(weights, verdicts, strict=True)) / sum(weights)
        return self.combined(verdicts, score, _joined(verdicts))


@dataclass(frozen=True)
class GateOptions:
    """parts        the gate first, then the verifier whose score counts once the gate is passed
    threshold    the score in (0, 1] at which the gate opens
    """

    parts: tuple[dict[str, Any], ...]
    threshold: float = 1.0

    def __post_init__(self) -> None:
        if len(self.parts) != 2:
            raise ValueError("parts are two: the gate, then what it guards")
        if not 0 < self.threshold <= 1:
            raise ValueError(f"threshold is in (0, 1], got {self.threshold}")


class GateVerifier(_Combined):
    """score = second part's, where the first reaches the threshold; else 0."""

    kind = "gate"
    summary = "a first verifier must pass before the second counts"
    Config = GateOptions
    example = Example("12", "12", options={"parts": [{"verifier": "number"}, {"verifier": "string"}]})

    def compare(self, prepared: list[Any], extracted: FinalAnswer) -> Verdict:
        first = self.parts[0][1].judge_prepared(prepared[0], extracted)
        if first.status in UNJUDGED or (first.score or 0.0) < self.config.threshold:
            verdict = self.combined([first], 0.0, f"the gate is closed: {first.reason}")
            return verdict if verdict.status in UNJUDGED else verdict.with_fields(code="gate_closed")
        second = self.parts[1][1].judge_prepared(prepared[1], extracted)
        return self.combined([first, second], second.score or 0.0, second.reason)


class CascadeVerifier(_Combined):
    """The first part that is sure decides: a later one is asked only where those before it were not confident.

    A rule comes first, a costlier judge behind it (a learned one plugs in as any other verifier, by
    `package.module:Name`).
    When none is sure, the last one's verdict stands. An unreadable answer counts as sure: it is the model's fault.
    """

    kind = "cascade"
    summary = "a rule first, a second judge only where it is unsure"
    Config = PartsOptions
    example = Example("12", "12", options={"parts": [{"verifier": "math"}, {"verifier": "string"}]})

    def compare(self, prepared: list[Any], extracted: FinalAnswer) -> Verdict:
        verdicts: list[Verdict] = []
        for (_, verifier, _), reference in zip(self.parts, prepared, strict=True):
            verdicts.append(verifier.judge_prepared(reference, extracted))
            if verdicts[-1].status not in UNJUDGED and verdicts[-1].confident:
                break
        last = verdicts[-1]
        if last.status in UNJUDGED:
            return last
        result = self.combined([last], last.score or 0.0, last.reason)
        scores = {name: v.score or 0.0 for (name, _, _), v in zip(self.parts, verdicts, strict=False)}
        return result.with_fields(
            confident=last.confident, parts={**scores, "num_asked": float(len(verdicts))}
        )


@dataclass(frozen=True)
class AnyOfOptions:
    """verifier, options    the one verifier that judges against each reference"""

    verifier: str = "math"
    options: dict[str, Any] = field(default_factory=dict)


class AnyOfVerifier(Verifier[list[Any], FinalAnswer]):
    """score = the best over several references under one verifier (never over several graders: that invites gaming).

    Reference: a list of references of that verifier.
    """

    kind = "any_of"
    summary = "one verifier, several accepted references: the best score"
    Config = AnyOfOptions
    example = Example(["1/2", "2"], "0.5")

    def __init__(self, config: Any = None, **options: Any) -> None:
        super().__init__(config, **options)
        _, self.inner, _ = load_part(
            {"verifier": self.config.verifier, "options": self.config.options}, self.kind
        )
        self.max_seconds = self.inner.max_seconds

    def prepare(self, reference: Any) -> list[Any]:
        if not isinstance(reference, (list, tuple)) or not reference:
            raise BadReference("a reference of 'any_of' is a list of references, at least one")
        return [self.inner.prepare(item) for item in reference]

    def extract(self, answer: FinalAnswer) -> FinalAnswer | NoAnswer:
        return answer

    def compare(self, prepared: list[Any], extracted: FinalAnswer) -> Verdict:
        best: Verdict | None = None
        for reference in prepared:
            verdict = self.inner.judge_prepared(reference, extracted)
            if verdict.status in UNJUDGED:
                return verdict
            if best is None or (verdict.score or 0.0) > (best.score or 0.0):
                best = verdict
            if verdict.score == 1.0:
                break
        assert best is not None
        return best

    def reference_answers(self, reference: Any) -> list[str]:
        return [text for item in reference for text in self.inner.reference_answers(item)]
