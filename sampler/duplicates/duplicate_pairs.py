"""Duplicates within a set: the same question over the same pictures with the same reference, exactly or nearly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from sampler.duplicates.near_texts import near_texts
from sampler.duplicates.picture_print import PicturePrints, near_pictures
from sampler.duplicates.prompt_pair import PromptPair
from sampler.duplicates.prompt_prints import PromptKey, PromptPrints

Alike = Mapping[str, Mapping[str, int]]  # pictures that look alike, by content hash, and the bits that differ


def duplicate_pairs(prints: PromptPrints) -> list[PromptPair]:
    """Pairs of prompts of one set, the earlier one first. One picture with two questions is none, and neither is one
    question over two pictures, nor one that expects another answer."""
    first_of: dict[PromptKey, int] = {}
    pairs = []
    for at, key in enumerate(prints.keys):
        first = first_of.setdefault(key, at)
        if first != at:
            pairs.append(PromptPair(first, at, "exact"))
    return pairs + _near(first_of, alike_of(prints.pictures, prints.pictures))


def alike_of(ones: PicturePrints, others: PicturePrints) -> dict[str, dict[str, int]]:
    """By a picture of the first all of the second that look like it."""
    names, other_names = list(ones.index), list(others.index)
    alike: dict[str, dict[str, int]] = defaultdict(dict)
    for at, to, bits in near_pictures(ones, others):
        alike[names[at]][other_names[to]] = bits
    return alike


def bits_between(shown: Sequence[str], others: Sequence[str], alike: Alike) -> int | None:
    """The largest distance of pictures in order; None where two do not look alike."""
    if len(shown) != len(others):
        return None
    bits = [0 if a == b else alike.get(a, {}).get(b) for a, b in zip(shown, others, strict=True)]
    return None if None in bits else max((one or 0 for one in bits), default=0)


def _near(first_of: Mapping[PromptKey, int], alike: Alike) -> list[PromptPair]:
    texts = list(dict.fromkeys(key.text for key in first_of))
    near: dict[str, dict[str, float]] = defaultdict(dict)
    for a, b, similarity in near_texts(texts):
        near[texts[a]][texts[b]] = near[texts[b]][texts[a]] = similarity
    by_look: dict[tuple[str | None, str, str], list[PromptKey]] = defaultdict(list)
    for key in first_of:
        by_look[_first_shown(key), key.text, key.reference].append(key)
    pairs = []
    for key, at in first_of.items():
        shown = _first_shown(key)
        looks: Iterable[str | None] = [None] if shown is None else {shown, *alike.get(shown, ())}
        for look in looks:
            for text, similarity in ((key.text, 1.0), *near.get(key.text, {}).items()):
                for others in by_look.get((look, text, key.reference), ()):
                    bits = bits_between(key.shown, others.shown, alike)
                    if first_of[others] > at and bits is not None:
                        pairs.append(PromptPair(at, first_of[others], "near", similarity, bits))
    return pairs


def _first_shown(key: PromptKey) -> str | None:
    return key.shown[0] if key.shown else None


def superfluous(pairs: Iterable[PromptPair]) -> set[int]:
    """The prompts to leave out so that of each group of duplicates, pair by pair, the first stays."""
    root: dict[int, int] = {}

    def top(at: int) -> int:
        while (above := root.get(at, at)) != at:
            root[at] = root.get(above, above)
            at = above
        return at

    for pair in pairs:
        low, high = sorted((top(pair.first), top(pair.second)))
        root[high] = low
    return {at for at in root if top(at) != at}
