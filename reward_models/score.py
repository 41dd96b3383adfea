"""What a reward model says of one final answer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn, get_args

ScoreStatus = Literal["scored", "timeout", "error"]
SCORE_STATUSES: tuple[ScoreStatus, ...] = get_args(ScoreStatus)
# Around 0.5: both orders of the same two answers differ in a float32's last bits.
PARITY_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Score:
    """The outcome of asking a reward model about one final answer.

    status       `scored`, or `timeout` and `error`: the judge's fault, no probability; such a rollout is left out of
                 the loss, never counted as a bad answer
    probability  that the answer wins against the reference, in [0, 1], 0.5 = parity; None unless `scored`
    reason       one sentence; empty where there is nothing to explain
    parts        named components: `as_first` and `as_second` of a pairwise model, each the probability that the same
                 answer wins from that place
    seconds      time spent scoring

    `bool(score)` raises: a score is not a truth value, ask for `.probability`.

    >>> Score.scored(0.75, parts={"as_first": 0.9, "as_second": 0.6}).probability
    0.75
    """

    status: ScoreStatus
    probability: float | None
    reason: str = ""
    parts: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.status not in SCORE_STATUSES:
            raise ValueError(f"score status {self.status!r} is not one of {', '.join(SCORE_STATUSES)}")
        if self.status != "scored":
            if self.probability is not None:
                raise ValueError(f"a score of status {self.status!r} has no probability")
        elif (
            self.probability is None
            or not math.isfinite(self.probability)
            or not 0.0 <= self.probability <= 1.0
        ):
            raise ValueError(
                f"a score of status 'scored' needs a probability in [0, 1], got {self.probability!r}"
            )

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "a Score has no truth value: an error is not a bad answer; read .probability and .status"
        )

    @property
    def judged(self) -> bool:
        """True when there is a probability."""
        return self.probability is not None

    @classmethod
    def scored(
        cls,
        probability: float,
        *,
        parts: Mapping[str, float] | None = None,
        reason: str = "",
        seconds: float = 0.0,
    ) -> Score:
        """The judge decided."""
        return cls("scored", float(probability), reason, dict(parts or {}), seconds)

    @classmethod
    def failed(cls, reason: str, *, seconds: float = 0.0) -> Score:
        """The judge itself broke: no probability."""
        return cls("error", None, reason, seconds=seconds)

    @classmethod
    def timed_out(cls, reason: str, *, seconds: float = 0.0) -> Score:
        """The judge did not finish in time: no probability."""
        return cls("timeout", None, reason, seconds=seconds)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types; `Score.from_json` gives the same score back."""
        return {
            "status": self.status,
            "probability": self.probability,
            "reason": self.reason,
            "parts": dict(self.parts),
            "seconds": self.seconds,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Score:
        """What ``to_json`` wrote; a field of another name raises TypeError."""
        return cls(**data)
