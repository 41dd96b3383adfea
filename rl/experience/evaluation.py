"""Held-out evaluation: pass@1 as the mean of k samples, pass@k and win rates, overall and by question type."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import comb
from typing import Any

from reward_models.answer_comparison import AnswerComparison
from reward_models.score import PARITY_TOLERANCE, Score
from rl.experience.judge import JudgedRollout
from verifiers.answer import FinalAnswer

PassCounts = dict[str, tuple[int, int]]  # prompt id -> (samples judged, samples right)


def pass_at_k(num_samples: int, num_right: int, k: int) -> float:
    """Chance that at least one of k samples drawn without replacement from n is right: 1 - C(n-c, k) / C(n, k).

    The unbiased estimator of Chen et al. 2021 (2107.03374, section 2.1). Needs n >= k.
    """
    assert num_samples >= k, "pass@k needs at least k samples"
    return 1.0 - comb(num_samples - num_right, k) / comb(num_samples, k)


def evaluate(judged: Sequence[JudgedRollout], *, pass_at: Sequence[int], pass_score: float) -> dict[str, Any]:
    """The figures of one evaluation, as they stand in its manifest. Rollouts without a decision are left out.

    pass@k is of the prompts that a verifier judges; for those that a reward model judges, `general` holds the win rate
    against their references.
    """
    verified = [one for one in judged if one.prompt.verifier is not None]
    compared = [one for one in judged if one.prompt.verifier is None]
    counts = _counts(verified, pass_score)
    per_prompt = {one.prompt.prompt_id: one.prompt for one in verified}

    def by(key: Callable[[Any], str]) -> dict[str, dict[str, float]]:
        members: dict[str, list[str]] = defaultdict(list)
        for prompt_id in counts:
            members[key(per_prompt[prompt_id])].append(prompt_id)
        return {
            name: {"pass_at_1": _mean_pass(counts, ids, 1), "num_prompts": len(ids)}
            for name, ids in sorted(members.items())
        }

    statuses = Counter(one.answer.status for one in judged)
    return {
        "num_prompts": len(counts),
        "samples_per_prompt": max((n for n, _ in counts.values()), default=0),
        "pass_at_1": _mean_pass(counts, list(counts), 1),
        "pass_at_k": {str(k): _mean_pass(counts, list(counts), k) for k in pass_at},
        "by_tag": by(lambda prompt: prompt.question_type),
        "by_verifier": by(lambda prompt: prompt.verifier or "none"),
        "by_kind": by(lambda prompt: prompt.kind),
        "general": {
            "num_prompts": len({one.prompt.prompt_id for one in compared}),
            "against_reference": win_rate(one.reward.score for one in compared),
        },
        "answer_status": {status: count / len(judged) for status, count in sorted(statuses.items())},
        "unjudged_frac": sum(one.reward.value is None for one in judged) / max(1, len(judged)),
        "response_tokens_mean": sum(one.rollout.num_response_tokens for one in judged) / max(1, len(judged)),
    }


def _counts(judged: Sequence[JudgedRollout], pass_score: float) -> PassCounts:
    counts: PassCounts = {}
    for one in judged:
        if one.reward.value is not None:
            num, right = counts.get(one.prompt.prompt_id, (0, 0))
            counts[one.prompt.prompt_id] = (num + 1, right + (one.reward.value >= pass_score))
    return counts


def _mean_pass(counts: PassCounts, ids: Sequence[str], k: int) -> float:
    values = [pass_at_k(*counts[prompt_id], k) for prompt_id in ids if counts[prompt_id][0] >= k]
    return sum(values) / len(values) if values else 0.0


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
) -> list[AnswerComparison]:
    """Every answer to a general prompt against the other policy's, sample by sample, where that has one."""
    comparisons = []
    for one in judged:
        other = others.get((one.prompt.prompt_id, one.rollout.index))
        if one.prompt.verifier is None and other is not None:
            comparisons.append(AnswerComparison(one.rollout.rollout_id, one.prompt, one.answer, other))
    return comparisons


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
