"""Held-out evaluation: pass@1 as the mean of k samples, pass@k and win rates, overall and by question type."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from math import comb
from typing import Any

from reward_models.answer_comparison import AnswerComparison
from reward_models.score import PARITY_TOLERANCE, Score
from rl.experience.exams.interval import mean_interval
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

    def by(key: Callable[[Any], str]) -> dict[str, dict[str, Any]]:
        members: dict[str, PassCounts] = defaultdict(dict)
        for prompt_id, count in counts.items():
            members[key(per_prompt[prompt_id])][prompt_id] = count
        return {name: _pass_figures(own) | {"num_prompts": len(own)} for name, own in sorted(members.items())}

    statuses = Counter(one.answer.status for one in judged)
    return {
        "num_prompts": len(counts),
        "samples_per_prompt": max((n for n, _ in counts.values()), default=0),
        **_pass_figures(counts),
        "pass_at_k": {str(k): _mean(_passes(counts, k)) or 0.0 for k in pass_at},
        "pass_at_k_interval": {str(k): mean_interval(_passes(counts, k)) for k in pass_at},
        "by_tag": by(lambda prompt: prompt.question_type),
        "by_verifier": by(lambda prompt: prompt.verifier or "none"),
        "by_kind": by(lambda prompt: prompt.kind),
        "general": {
            "num_prompts": len({one.prompt.prompt_id for one in compared}),
            "against_reference": win_rate(one.reward.score for one in compared),
        },
        "answer_status": {status: count / len(judged) for status, count in sorted(statuses.items())},
        "unjudged_frac": sum(one.reward.value is None for one in judged) / max(1, len(judged)),
        **form_figures(judged),
    }


def form_figures(judged: Sequence[JudgedRollout]) -> dict[str, Any]:
    """What may drift while the rewards rise: length, how sure the policy is, and the language it writes.

    ``surprisal_mean`` is the mean of -log p over all sampled tokens, in nats: at temperature 1 an unbiased estimate of
    the entropy of a token. ``scripts`` are the shares of letters by Unicode script, as names of letters begin: "latin".
    """
    num_tokens = sum(one.rollout.num_response_tokens for one in judged)
    letters = Counter(
        script for one in judged for letter in one.rollout.text if (script := _script(letter)) is not None
    )
    return {
        "response_tokens_mean": num_tokens / max(1, len(judged)),
        "surprisal_mean": -sum(float(one.rollout.sample_logprobs.sum()) for one in judged)
        / max(1, num_tokens),
        "scripts": {script: count / letters.total() for script, count in letters.most_common()},
    }


@lru_cache(4096)
def _script(letter: str) -> str | None:
    name = unicodedata.name(letter, "") if letter.isalpha() else ""
    return name.split()[0].lower() if name else None


def _counts(judged: Sequence[JudgedRollout], pass_score: float) -> PassCounts:
    counts: PassCounts = {}
    for one in judged:
        if one.reward.value is not None:
            num, right = counts.get(one.prompt.prompt_id, (0, 0))
            counts[one.prompt.prompt_id] = (num + 1, right + (one.reward.value >= pass_score))
    return counts


def _pass_figures(counts: PassCounts) -> dict[str, Any]:
    passes = _passes(counts, 1)
    return {"pass_at_1": _mean(passes) or 0.0, "pass_at_1_interval": mean_interval(passes)}


def _passes(counts: PassCounts, k: int) -> list[float]:
    """pass@k of each prompt that has as many samples."""
    return [pass_at_k(*count, k) for count in counts.values() if count[0] >= k]


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
