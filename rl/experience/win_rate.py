"""How often answers win by a reward model: against references, and against another policy's answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from reward_models.answer_comparison import Comparison
from reward_models.score import PARITY_TOLERANCE, Score
from rl.experience.judge import JudgedRollout
from verifiers.answer import FinalAnswer

AnswerPlace = tuple[str, int]  # prompt id, index of the sample


def win_rate(scores: Iterable[Score | None]) -> dict[str, float | int | None]:
    """Wins over comparisons, a tie counting half; the mean probability; how many were compared, and how many failed.

    A win is a probability above 0.5, a tie one within ``PARITY_TOLERANCE`` of it. None stands for a response of broken
    format, which loses without being asked about; a failed score is left out. Both rates are None where nothing
    was compared.
    """
    given = list(scores)
    probabilities = [0.0 if one is None else one.probability for one in given]
    known = [p for p in probabilities if p is not None]
    return {
        "win_rate": _mean([0.5 if abs(p - 0.5) <= PARITY_TOLERANCE else float(p > 0.5) for p in known]),
        "win_probability": _mean(known),
        "num_comparisons": len(known),
        "num_failed": len(given) - len(known),
    }


def against_answers(
    judged: Sequence[JudgedRollout], others: Mapping[AnswerPlace, FinalAnswer]
) -> list[Comparison]:
    """Every answer to a general prompt against the other policy's, sample by sample, where that has one."""
    comparisons = []
    for one in judged:
        other = others.get((one.prompt.prompt_id, one.rollout.index))
        if one.prompt.verifier is None and other is not None:
            comparisons.append(Comparison(one.rollout.rollout_id, one.prompt, one.answer, other))
    return comparisons


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
