"""Which sampled responses become supervised data: right ones, no babble, a few a prompt, balanced over types."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median, median_low
from typing import Any, Literal

from sampler.prompt import Prompt
from sampler.response_filter import is_repetitive, similarity, template_leftover

DROP_REASONS = (
    "over_length", "repetition", "template", "language_mixing", "over_thinking", "duplicate", "near_duplicate",
    "per_prompt_limit", "balance",
)  # fmt: skip
Keep = Literal["shortest", "first", "diverse"]


@dataclass(frozen=True)
class Candidate:
    """A right response that may be kept, with the lineage it will carry. ``index`` numbers the prompt's samples."""

    prompt: Prompt
    rollout_id: str
    response: str
    num_response_tokens: int
    policy_version: int
    verdict: Mapping[str, Any]
    index: int = 0
    language_mixing_frac: float = 0.0  # words in scripts that the prompt has none of


@dataclass(frozen=True)
class Harvest:
    """What was kept, and what was left out for which reason."""

    kept: tuple[Candidate, ...]
    left_out: tuple[tuple[Candidate, str], ...] = ()

    @property
    def dropped(self) -> dict[str, int]:
        """How many by reason."""
        counts = Counter(reason for _, reason in self.left_out)
        return {reason: counts[reason] for reason in DROP_REASONS}


@dataclass(frozen=True)
class HarvestRule:
    """The filters, in the order in which they are applied (RECIPE: rejection-sampling fine-tuning).

    Over-thinking is a response longer than ``max_over_median`` times the median of the prompt's right ones, or than
    ``max_over_shortest`` times the shortest; with ``opening`` those of its first so many samples are compared with, so
    that the verdict on a sample does not depend on later ones. None: a filter is not applied.
    """

    max_response_tokens: int
    max_repeats: int
    max_per_prompt: int
    balance_ratio: float
    keep: Keep = "shortest"
    max_over_median: float | None = None
    max_over_shortest: float | None = None
    opening: int | None = None
    max_language_mixing_frac: float | None = None
    drops_template_leftovers: bool = True
    max_similarity: float | None = None

    def apply(self, candidates: Sequence[Candidate]) -> Harvest:
        """Keep what passes. The outcome does not depend on the order of ``candidates``.

        Of one prompt ``max_per_prompt`` responses are kept: the shortest (as right as the others, without
        over-thinking), the first that were drawn, or the most diverse. A question type with more than
        ``balance_ratio`` times the rows of the median type is thinned out, second rows of a prompt first.
        """
        of_prompt: dict[str, list[Candidate]] = defaultdict(list)
        for one in candidates:
            of_prompt[one.prompt.prompt_id].append(one)
        kept: list[Candidate] = []
        left_out: list[tuple[Candidate, str]] = []
        for _, group in sorted(of_prompt.items()):
            chosen, others = self.choose(group)
            kept += chosen
            left_out += others
        balanced = balance(kept, self.balance_ratio)
        stay = {one.rollout_id for one in balanced}
        left_out += [(one, "balance") for one in kept if one.rollout_id not in stay]
        return Harvest(tuple(balanced), tuple(left_out))

    def choose(self, group: Sequence[Candidate]) -> tuple[list[Candidate], list[tuple[Candidate, str]]]:
        """Of one prompt's candidates those that are kept, the preferred first, and the others with the reason.

        With ``keep="first"`` and over-thinking told by the ``opening`` or not at all, those kept of the first samples
        are kept of all: further samples only fill what is missing.
        """
        limit = self._thought_limit(group)
        distinct: list[Candidate] = []
        left_out: list[tuple[Candidate, str]] = []
        for one in sorted(group, key=self._preference):
            reason = self._unfit(one, limit) or self._said(one, distinct)
            if reason is None:
                distinct.append(one)
            else:
                left_out.append((one, reason))
        size = self.max_per_prompt
        chosen = most_diverse(distinct, size) if self.keep == "diverse" else distinct[:size]
        names = {one.rollout_id for one in chosen}
        left_out += [(one, "per_prompt_limit") for one in distinct if one.rollout_id not in names]
        return chosen, left_out

    def _preference(self, one: Candidate) -> tuple[int, str]:
        return (one.index if self.keep == "first" else one.num_response_tokens, one.rollout_id)

    def _unfit(self, one: Candidate, thought_limit: float) -> str | None:
        if one.num_response_tokens > self.max_response_tokens:
            return "over_length"
        if is_repetitive(one.response, self.max_repeats):
            return "repetition"
        if self.drops_template_leftovers and template_leftover(one.response) is not None:
            return "template"
        mixing = self.max_language_mixing_frac
        if mixing is not None and one.language_mixing_frac > mixing:
            return "language_mixing"
        return "over_thinking" if one.num_response_tokens > thought_limit else None

    def _thought_limit(self, group: Sequence[Candidate]) -> float:
        lengths = [
            one.num_response_tokens for one in group if self.opening is None or one.index < self.opening
        ]
        limits = [float("inf")]
        if lengths and self.max_over_median is not None:
            limits.append(self.max_over_median * median(lengths))
        if lengths and self.max_over_shortest is not None:
            limits.append(self.max_over_shortest * min(lengths))
        return min(limits)

    def _said(self, one: Candidate, earlier: Sequence[Candidate]) -> str | None:
        if any(one.response == other.response for other in earlier):
            return "duplicate"
        most = self.max_similarity
        if most is not None and any(similarity(one.response, other.response) > most for other in earlier):
            return "near_duplicate"
        return None


def most_diverse(candidates: Sequence[Candidate], size: int) -> list[Candidate]:
    """The first, then each time the one whose nearest chosen one is the least similar (farthest-first traversal,
    Gonzalez 1985); of equal ones the earlier."""
    left, chosen = list(candidates), list[Candidate]()
    nearest = [0.0] * len(left)
    while left and len(chosen) < size:
        place = min(range(len(left)), key=nearest.__getitem__)
        one = left.pop(place)
        nearest.pop(place)
        chosen.append(one)
        nearest = [
            max(known, similarity(one.response, other.response))
            for known, other in zip(nearest, left, strict=True)
        ]
    return chosen


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
