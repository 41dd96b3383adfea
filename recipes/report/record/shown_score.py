"""A reward model's score as it is shown: the probability that the answer wins, and from either place."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from reward_models.score import PARITY_TOLERANCE


@dataclass(frozen=True)
class ShownScore:
    """`parts` are those of `reward_models.score.Score`; older logs have none."""

    status: str
    probability: float | None
    parts: dict[str, float]

    @property
    def words(self) -> str:
        """ "0.93 against the reference; shown first 0.95, shown second 0.91"."""
        if self.probability is None:
            return ""
        words = f"{probability_words(self.probability)} against the reference"
        if {"as_first", "as_second"} <= self.parts.keys():
            first, second = (probability_words(self.parts[name]) for name in ("as_first", "as_second"))
            return f"{words}; shown first {first}, shown second {second}"
        if {"score", "reference_score"} <= self.parts.keys():
            return f"{words}; scored {self.parts['score']:.2f}, the reference {self.parts['reference_score']:.2f}"
        return words

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> ShownScore | None:
        """From the columns of the rollout log; None where no reward model was asked."""
        status = row.get("score_status")
        if not status:
            return None
        return cls(str(status), row.get("score_probability"), _parts(row.get("score_parts")))


def probability_words(probability: float) -> str:
    """Two decimals; what is not parity is not written as if it were."""
    words = f"{probability:.2f}"
    if words == "0.50" and abs(probability - 0.5) > PARITY_TOLERANCE:
        return f"just {'above' if probability > 0.5 else 'under'} 0.50"
    return words


def _parts(text: str | None) -> dict[str, float]:
    try:
        parts = json.loads(text or "{}")
    except ValueError:
        return {}
    if not isinstance(parts, dict):
        return {}
    return {
        name: float(value)
        for name, value in parts.items()
        if isinstance(value, (int, float)) and math.isfinite(value)
    }
