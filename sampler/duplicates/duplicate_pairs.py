"""Duplicates within a set: the same question over the same pictures with the same reference, exactly or nearly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from rapidfuzz import fuzz

from sampler.duplicates.look_alikes import LookAlikes
from sampler.duplicates.prompt_pair import PromptPair
from sampler.duplicates.prompt_prints import PromptKey, PromptPrints
from sampler.duplicates.question_text import content_of

MOST_LOOKED_AT = 16  # prompts like one whose pictures are compared, those most alike in little first


def duplicate_pairs(prints: PromptPrints) -> list[PromptPair]:
    """Pairs of prompts of one set, the earlier one first. One picture with two questions is none, and neither is one
    question over two pictures, nor one that expects another answer."""
    first_of: dict[PromptKey, int] = {}
    pairs = []
    for at, key in enumerate(prints.keys):
        first = first_of.setdefault(key, at)
        if first != at:
            pairs.append(PromptPair(first, at, "exact"))
    return pairs + _near(first_of, LookAlikes(prints, prints))


def _near(first_of: Mapping[PromptKey, int], alike: LookAlikes) -> list[PromptPair]:
    earlier: dict[tuple[str | None, object, str], list[PromptKey]] = defaultdict(list)
    pairs = []
    for key, at in first_of.items():
        shown, content, num_looked_at = _first_shown(key), content_of(key.text), 0
        looks: Iterable[str | None] = [None] if shown is None else alike.of(shown)
        for look in looks:
            for other in earlier.get((look, content, key.reference), ())[:MOST_LOOKED_AT]:
                num_looked_at += look != shown
                if (bits := alike.bits(key.shown, other.shown)) is not None:
                    similarity = fuzz.ratio(key.text, other.text) / 100
                    pairs.append(PromptPair(first_of[other], at, "near", similarity, bits))
            if num_looked_at >= MOST_LOOKED_AT:
                break
        earlier[shown, content, key.reference].append(key)
    return pairs


def _first_shown(key: PromptKey) -> str | None:
    return key.shown[0] if key.shown else None


def superfluous(pairs: Iterable[PromptPair]) -> dict[int, int]:
    """The prompts to leave out so that of each group of duplicates, the first stays; and which that is."""
    root: dict[int, int] = {}

    def top(at: int) -> int:
        while (above := root.get(at, at)) != at:
            root[at] = root.get(above, above)
            at = above
        return at

    for pair in pairs:
        low, high = sorted((top(pair.first), top(pair.second)))
        root[high] = low
    return {at: top(at) for at in sorted(root) if top(at) != at}
