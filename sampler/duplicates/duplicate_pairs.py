"""Duplicates within a set: the same question over the same pictures with the same reference, exactly or nearly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from sampler.duplicates.look_alikes import LookAlikes
from sampler.duplicates.near_texts import near_texts
from sampler.duplicates.prompt_pair import PromptPair
from sampler.duplicates.prompt_prints import PromptKey, PromptPrints

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
    texts = list(dict.fromkeys(key.text for key in first_of))
    near: dict[str, dict[str, float]] = defaultdict(dict)
    for a, b, similarity in near_texts(texts):
        near[texts[a]][texts[b]] = near[texts[b]][texts[a]] = similarity
    by_look: dict[tuple[str | None, str, str], list[PromptKey]] = defaultdict(list)
    for key in first_of:
        by_look[_first_shown(key), key.text, key.reference].append(key)
    pairs = []
    for key, at in first_of.items():
        shown, num_looked_at = _first_shown(key), 0
        looks: Iterable[str | None] = [None] if shown is None else alike.of(shown)
        for look in looks:
            for text, similarity in ((key.text, 1.0), *near.get(key.text, {}).items()):
                for others in by_look.get((look, text, key.reference), ())[:MOST_LOOKED_AT]:
                    if first_of[others] <= at:
                        continue
                    num_looked_at += look != shown
                    if (bits := alike.bits(key.shown, others.shown)) is not None:
                        pairs.append(PromptPair(at, first_of[others], "near", similarity, bits))
            if num_looked_at >= MOST_LOOKED_AT:
                break
    return pairs


def _first_shown(key: PromptKey) -> str | None:
    return key.shown[0] if key.shown else None


def superfluous(pairs: Iterable[PromptPair]) -> dict[int, int]:
    """The prompts to leave out so that of each group of duplicates, pair by pair, the first stays; and which that is."""
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
