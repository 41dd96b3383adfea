"""What a rule says of one final answer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NoReturn, get_args

from verifiers.plain_value import json_text, plain_number

VerdictStatus = Literal["scored", "unparseable", "timeout", "error"]
VERDICT_STATUSES: tuple[VerdictStatus, ...] = get_args(VerdictStatus)
UNJUDGED: frozenset[str] = frozenset({"timeout", "error"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of judging one final answer.

    status      `scored` (the rule reached a decision), `unparseable` (the answer holds nothing the rule can read:
                score 0, the model's fault), `timeout` and `error` (no decision: the judge's fault, score None;
                such a rollout is left out of the loss, never counted as wrong)
    score       in [0, 1], or None
    confident   False where the rule decided on thin grounds (a tolerance, a guess at what the answer is); a
                `cascade` asks a second judge there
    extracted   what was read as the answer, for a curator's eye
    code        machine-readable reason, snake_case (`equal`, `different`, `limit`, `hedged`, ...)
    reason      the same in one sentence
    parts       named components of the score
    seconds     time spent judging
    tier        which stage decided: `text`, `exact`, `structure`, `numeric`, `symbolic`, ...

    Every field is plain when made: numpy's numbers become Python's, an `extracted` that is no text becomes JSON text,
    and what can be neither is a `TypeError` that names the field.

    `bool(verdict)` raises: a verdict is not a truth value, ask for `.score`.

    >>> Verdict.scored(1.0, "equal", "9 equals 9", extracted="9").to_json()["status"]
    'scored'
    """

    status: VerdictStatus
    score: float | None
    code: str
    reason: str
    extracted: str | None = None
    confident: bool = True
    parts: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    tier: str = ""

    def __post_init__(self) -> None:
        self._make_plain()
        if self.status not in VERDICT_STATUSES:
            raise ValueError(f"verdict status {self.status!r} is not one of {', '.join(VERDICT_STATUSES)}")
        if self.status in UNJUDGED:
            if self.score is not None:
                raise ValueError(f"a verdict of status {self.status!r} has no score")
        elif self.score is None or not math.isfinite(self.score) or not 0.0 <= self.score <= 1.0:
            raise ValueError(
                f"a verdict of status {self.status!r} needs a score in [0, 1], got {self.score!r}"
            )

    def _make_plain(self) -> None:
        if self.score is not None and type(self.score) is not float:
            object.__setattr__(self, "score", float(plain_number(self.score, "a verdict's `score`")))
        if self.extracted is not None and not isinstance(self.extracted, str):
            object.__setattr__(self, "extracted", json_text(self.extracted))
        if type(self.confident) is not bool:
            object.__setattr__(self, "confident", bool(self.confident))
        if self.parts:
            parts = {
                str(name): plain_number(part, f"part {name!r} of a verdict")
                for name, part in self.parts.items()
            }
            object.__setattr__(self, "parts", parts)
        for name in ("status", "code", "reason", "tier"):
            if not isinstance(getattr(self, name), str):
                kind = type(getattr(self, name)).__name__
                raise TypeError(f"a verdict's `{name}` is text, got a {kind}")

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "a Verdict has no truth value: an error is not a wrong answer; read .score and .status"
        )

    @property
    def judged(self) -> bool:
        """True when there is a score."""
        return self.score is not None

    @classmethod
    def scored(cls, score: float, code: str, reason: str, **fields: Any) -> Verdict:
        """A decision. `fields` are the remaining fields of `Verdict`."""
        return cls("scored", score, code, reason, **fields)

    @classmethod
    def unparseable(cls, code: str, reason: str, **fields: Any) -> Verdict:
        """The answer cannot be read: score 0."""
        return cls("unparseable", 0.0, code, reason, **fields)

    @classmethod
    def timed_out(cls, reason: str, **fields: Any) -> Verdict:
        """The judge did not finish in time: no score."""
        return cls("timeout", None, "timeout", reason, **fields)

    @classmethod
    def failed(cls, code: str, reason: str, **fields: Any) -> Verdict:
        """The judge itself broke: no score."""
        return cls("error", None, code, reason, **fields)

    def with_fields(self, **fields: Any) -> Verdict:
        """A copy with some fields replaced."""
        return replace(self, **fields)

    def timed(self, seconds: float) -> Verdict:
        """A copy that took so long; its other fields have been checked."""
        copy = object.__new__(Verdict)
        for name in Verdict.__slots__:
            object.__setattr__(copy, name, getattr(self, name))
        object.__setattr__(copy, "seconds", seconds)
        return copy

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types; `Verdict.from_json` gives the same verdict back."""
        return {
            "status": self.status,
            "score": self.score,
            "code": self.code,
            "reason": self.reason,
            "extracted": self.extracted,
            "confident": self.confident,
            "parts": dict(self.parts),
            "seconds": self.seconds,
            "tier": self.tier,
        }

    def to_row(self) -> list[Any]:
        """The fields in their order, as plain JSON types; `Verdict(*row)` gives the same verdict back."""
        return list(self.to_json().values())

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Verdict:
        return cls(**data)
