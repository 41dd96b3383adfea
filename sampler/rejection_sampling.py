"""Which sampled responses become supervised data: right ones, no babble, a few a prompt, balanced over types."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import Any

from sampler.prompt import Prompt

DROP_REASONS = ("repetition", "over_length", "duplicate", "per_prompt_limit", "balance")


@dataclass(frozen=True)
class Candidate:
    """A right response that may be kept, with the lineage it will carry."""

    prompt: Prompt
    rollout_id: str
    response: str
    num_response_tokens: int
    policy_version: int
    verdict: Mapping[str, Any]


@dataclass(frozen=True)
class Harvest:
    """What was kept, and how many were dropped for which reason."""

    kept: tuple[Candidate, ...]
    dropped: Mapping[str, int]


@dataclass(frozen=True)
class HarvestRule:
    """The filters, in the order in which they are applied (RECIPE: rejection-sampling fine-tuning)."""

    max_response_tokens: int
    max_repeats: int
    max_per_prompt: int
    balance_ratio: float

    def apply(self, candidates: Sequence[Candidate]) -> Harvest:
        """Keep what passes. The outcome does not hang on the order of ``candidates``.

        Of one prompt the shortest responses are kept: as right as the others, without over-thinking. A question type
        with more than ``balance_ratio`` times the rows of the median type is thinned out, second rows of a prompt
        first.
        """
        dropped: Counter[str] = Counter()
        ordered = sorted(candidates, key=lambda one: (one.num_response_tokens, one.rollout_id))
        filters: tuple[tuple[str, Callable[[Candidate], bool]], ...] = (
            ("over_length", lambda one: one.num_response_tokens > self.max_response_tokens),
            ("repetition", lambda one: is_repetitive(one.response, self.max_repeats)),
        )
        kept, seen, per_prompt = [], set(), Counter[str]()
        for one in ordered:
            reason = next((name for name, fails in filters if fails(one)), None)
            key = (one.prompt.prompt_id, one.response)
            if reason is None and key in seen:
                reason = "duplicate"
            if reason is None and per_prompt[one.prompt.prompt_id] >= self.max_per_prompt:
                reason = "per_prompt_limit"
            if reason is not None:
                dropped[reason] += 1
                continue
            seen.add(key)
            per_prompt[one.prompt.prompt_id] += 1
            kept.append(one)
        balanced = balance(kept, self.balance_ratio)
        dropped["balance"] = len(kept) - len(balanced)
        return Harvest(tuple(balanced), {reason: dropped[reason] for reason in DROP_REASONS})


def is_repetitive(text: str, max_repeats: int) -> bool:
    """True when some phrase of 1 to 40 characters stands more than ``max_repeats`` times in a row.

    Digits and white space alone do not count: 1000000000 is a number, eight spaces are an indentation. Work is linear
    in the text (bounded back-references over a text cut at 20,000 characters), whatever a model writes.
    """
    runs = re.finditer(rf"([\s\S]{{1,40}}?)\1{{{max_repeats},}}", text[:20_000])
    return any(re.search(r"[^\d\s]", run[1]) for run in runs)


def balance(candidates: Sequence[Candidate], ratio: float) -> list[Candidate]:
    """Thin out question types that have more than ``ratio`` times the rows of the (lower) median type."""
    by_type: dict[str, list[Candidate]] = defaultdict(list)
    for one in candidates:
        by_type[one.prompt.question_type].append(one)
    if not by_type:
        return []
    limit = int(ratio * median_low(len(members) for members in by_type.values()))
    kept: list[Candidate] = []
    for _, members in sorted(by_type.items()):
        rank: Counter[str] = Counter()
        ranked = []
        for one in members:  # a prompt's second row goes before another's first
            ranked.append((rank[one.prompt.prompt_id], one.rollout_id, one))
            rank[one.prompt.prompt_id] += 1
        kept += [one for _, _, one in sorted(ranked, key=lambda item: item[:2])[:limit]]
    return kept
