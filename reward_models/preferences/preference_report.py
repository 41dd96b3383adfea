"""How good a reward model is on held-out pairs whose better answer is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reward_models.score import Score

NUM_BINS = 10


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """The probability that the better answer wins, once shown first and once shown second.

    ``one_at_a_time``: of a scalar model, which is never shown two answers; both are then the same.
    """

    as_first: float
    as_second: float
    one_at_a_time: bool = False

    @property
    def probability(self) -> float:
        """Averaged over both orders: what RL uses."""
        return (self.as_first + self.as_second) / 2


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Pairs whose confidence falls between two bounds: mean confidence and how often the model was right."""

    low: float
    high: float
    num_pairs: int
    confidence_mean: float
    accuracy: float


@dataclass(frozen=True)
class PairReport:
    """Figures over the pairs that have a score; None where no pair has one, or the figure has no meaning.

    num_pairs, num_failed  scored pairs, and those left out because the judge failed
    accuracy               the better answer's averaged probability is above 0.5; exactly 0.5 counts half
    position_bias_frac     pairs whose two raw orders name different winners (an exact 0.5 names none)
    order_gap_mean         mean of |p(a,b) + p(b,a) - 1|, with p(x,y) the probability that the one shown first wins
    one_at_a_time          of a scalar model: no order and so no bias for a place, both None
    ece, brier             expected calibration error of the averaged probability; mean of (1 - p)^2
    """

    num_pairs: int
    num_failed: int
    accuracy: float | None
    position_bias_frac: float | None
    order_gap_mean: float | None
    ece: float | None
    brier: float | None
    bins: tuple[CalibrationBin, ...] = ()
    one_at_a_time: bool = False

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> PairReport:
        """What `dataclasses.asdict` wrote."""
        return cls(**{**row, "bins": tuple(CalibrationBin(**one) for one in row["bins"])})

    @property
    def summary(self) -> str:
        """The report in one line."""
        if self.accuracy is None or self.ece is None:
            return f"none of {self.num_failed:,} held-out pairs could be judged"
        bias = "one answer at a time, so no position bias"
        if self.position_bias_frac is not None:
            bias = f"orders disagree on {self.position_bias_frac:.1%}"
        return (
            f"pairwise accuracy {self.accuracy:.1%} on {self.num_pairs:,} held-out pairs, {bias}, "
            f"calibration error {self.ece:.3f}, {self.num_failed:,} failed"
        )

    def metrics(self) -> dict[str, float]:
        """By metric name; figures that could not be had are left out."""
        named: Mapping[str, float | None] = {
            "reward_model/num_pairs": self.num_pairs,
            "reward_model/num_failed": self.num_failed,
            "reward_model/pair_accuracy_frac": self.accuracy,
            "reward_model/position_bias_frac": self.position_bias_frac,
            "reward_model/order_gap_mean": self.order_gap_mean,
            "reward_model/calibration_error": self.ece,
            "reward_model/brier": self.brier,
        }
        return {name: float(value) for name, value in named.items() if value is not None}


def judged_pair(score: Score) -> JudgedPair | None:
    """From the score of (better against worse); None where the judge failed or gave neither both orders nor the scores
    of both answers."""
    if score.probability is None:
        return None
    if {"score", "reference_score"} <= score.parts.keys():
        return JudgedPair(score.probability, score.probability, one_at_a_time=True)
    if not {"as_first", "as_second"} <= score.parts.keys():
        return None
    return JudgedPair(score.parts["as_first"], score.parts["as_second"])


def pair_report(pairs: Iterable[JudgedPair | None]) -> PairReport:
    """The report of held-out pairs; None stands for a pair that the judge failed on."""
    given = list(pairs)
    known = [pair for pair in given if pair is not None]
    num_failed = len(given) - len(known)
    if not known:
        return PairReport(0, num_failed, None, None, None, None, None)
    probabilities = [pair.probability for pair in known]
    bins = calibration_bins(probabilities)
    one_at_a_time = all(pair.one_at_a_time for pair in known)
    return PairReport(
        num_pairs=len(known),
        num_failed=num_failed,
        accuracy=_mean([_rightness(p) for p in probabilities]),
        position_bias_frac=None if one_at_a_time else _mean([float(orders_disagree(pair)) for pair in known]),
        # p(a,b) = as_first and p(b,a) = 1 - as_second, so the sum minus 1 is their difference.
        order_gap_mean=None if one_at_a_time else _mean([abs(p.as_first - p.as_second) for p in known]),
        ece=expected_calibration_error(bins),
        brier=_mean([(1.0 - p) ** 2 for p in probabilities]),
        bins=bins,
        one_at_a_time=one_at_a_time,
    )


def orders_disagree(pair: JudgedPair) -> bool:
    """Whether the two raw orders name different winners."""
    return (pair.as_first - 0.5) * (pair.as_second - 0.5) < 0.0


def calibration_bins(probabilities: Sequence[float], num_bins: int = NUM_BINS) -> tuple[CalibrationBin, ...]:
    """The bins that hold pairs, of `num_bins` equal ones over confidences max(p, 1 - p) in [0.5, 1]."""
    members: dict[int, list[float]] = {}
    for p in probabilities:
        # Rounded first: 0.55 is the lower bound of its bin whatever its last bit says.
        index = int(round((max(p, 1.0 - p) - 0.5) * 2 * num_bins, 9))
        members.setdefault(min(index, num_bins - 1), []).append(p)
    return tuple(
        CalibrationBin(
            low=0.5 + index / (2 * num_bins),
            high=0.5 + (index + 1) / (2 * num_bins),
            num_pairs=len(held),
            confidence_mean=_mean([max(p, 1.0 - p) for p in held]),
            accuracy=_mean([_rightness(p) for p in held]),
        )
        for index, held in sorted(members.items())
    )


def expected_calibration_error(bins: Sequence[CalibrationBin]) -> float:
    """ECE = sum over bins of (n_b / n) |accuracy_b - confidence_b| (Guo et al., arXiv 1706.04599)."""
    num_pairs = sum(one.num_pairs for one in bins)
    return sum(one.num_pairs * abs(one.accuracy - one.confidence_mean) for one in bins) / num_pairs


def _rightness(probability: float) -> float:
    return 0.5 if probability == 0.5 else float(probability > 0.5)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
