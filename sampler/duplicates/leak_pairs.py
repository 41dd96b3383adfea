"""Leaks: held-out prompts that are also trained on, under another case, blank, compression or a changed pixel."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice

from rapidfuzz import fuzz

from sampler.duplicates.look_alikes import LookAlikes
from sampler.duplicates.picture_print import MOST_ALIKE
from sampler.duplicates.prompt_pair import PairKind, PromptPair
from sampler.duplicates.prompt_prints import PromptKey, PromptPrints
from sampler.duplicates.question_text import content_of, grams_of, numbers_of, words_of

MIN_SIMILARITY = 0.9  # of two questions over one picture, by Indel distance
MOST_COMPARED = 1000  # questions over one picture
# A gram of more held-out prompts than these is a template ("answer with a number in a box") and no sign of a copy. So
# is one of more train prompts where several held-out ones have it: of one question there may be many copies.
TEMPLATE_FRAC, TEMPLATE_NUM = 0.01, 5
SEVERAL = 3


def leak_pairs(heldout: PromptPrints, train: PromptPrints) -> list[PromptPair]:
    """Of each train prompt that leaks the nearest held-out prompt, however it is judged: `exact`, `near`, for questions
    without pictures also `12-gram`; and `picture`, where only the picture is the same."""
    nearest: dict[int, PromptPair] = {}
    for pair in chain(
        _same_text(heldout, train),
        _same_content(heldout, train),
        _same_grams(heldout, train),
        _same_pictures(heldout, train),
    ):
        if pair.second not in nearest or _rank(pair) < _rank(nearest[pair.second]):
            nearest[pair.second] = pair
    return sorted(nearest.values(), key=_rank)


_RANK = {"exact": 0, "near": 1, "12-gram": 2, "picture": 3}


def _rank(pair: PromptPair) -> tuple[int, float, int, int]:
    return _RANK[pair.kind], -pair.text_similarity, pair.first, pair.second


def _same_text(heldout: PromptPrints, train: PromptPrints) -> Iterator[PromptPair]:
    """The same question and the same files, or none."""
    asked = {(key.text, key.shown): at for at, key in reversed(list(enumerate(heldout.keys)))}
    for at, key in enumerate(train.keys):
        if (key.text or key.shown) and (first := asked.get((key.text, key.shown))) is not None:
            yield PromptPair(first, at, "exact")


def _same_content(heldout: PromptPrints, train: PromptPrints) -> Iterator[PromptPair]:
    """Questions without pictures that differ in marks and fillers."""
    asked = {content_of(key.text): at for at, key in reversed(list(enumerate(heldout.keys))) if not key.shown}
    for at, key in enumerate(train.keys):
        if not key.shown and (first := asked.get(content_of(key.text))) is not None:
            yield PromptPair(first, at, "near", _ratio(heldout.keys[first], key))


def _ratio(one: PromptKey, other: PromptKey) -> float:
    return fuzz.ratio(one.text, other.text) / 100


def _same_pictures(heldout: PromptPrints, train: PromptPrints) -> Iterator[PromptPair]:
    """Pictures that look alike, and whether the question does too."""
    alike = LookAlikes(heldout, train)
    by_picture: dict[str, list[int]] = defaultdict(list)
    for at, key in enumerate(train.keys):
        if key.shown:
            by_picture[key.shown[0]].append(at)
    for at, key in enumerate(heldout.keys):
        if not key.shown:
            continue
        for look in islice(alike.of(key.shown[0]), MOST_ALIKE):
            for other in by_picture.get(look, ())[:MOST_COMPARED]:
                if (pair := _over_one_picture(at, key, other, train.keys[other], alike)) is not None:
                    yield pair


def _over_one_picture(
    at: int, key: PromptKey, other: int, others: PromptKey, alike: LookAlikes
) -> PromptPair | None:
    bits = alike.bits(key.shown, others.shown)
    if bits is None:
        return None
    similarity = _ratio(key, others)
    same_numbers = numbers_of(key.text) == numbers_of(others.text)
    # Drawn pictures often differ in a number that no print shows: another answer means another picture.
    same_answer = key.reference == others.reference or key.shown == others.shown
    is_near = similarity >= MIN_SIMILARITY and same_numbers and same_answer
    kind: PairKind = "near" if is_near else "picture"
    return PromptPair(at, other, kind, similarity, bits)


def _same_grams(heldout: PromptPrints, train: PromptPrints) -> Iterator[PromptPair]:
    """Twelve words in a row of questions without pictures, templates left out."""
    grams = _telling_grams(heldout.keys)
    hits: dict[int, list[int]] = defaultdict(list)  # by gram the train prompts that have it
    for at, key in enumerate(train.keys):
        if not key.shown:
            for gram in set(grams_of(words_of(key.text))) & grams.keys():
                hits[gram].append(at)
    most = max(TEMPLATE_NUM, TEMPLATE_FRAC * len(train.keys))
    pairs = {
        (at, other)
        for gram, found in hits.items()
        if len(found) <= most or len(grams[gram]) < SEVERAL
        for at in grams[gram]
        for other in found
    }
    for at, other in sorted(pairs):
        yield PromptPair(at, other, "12-gram", _ratio(heldout.keys[at], train.keys[other]))


def _telling_grams(keys: Sequence[PromptKey]) -> Mapping[int, list[int]]:
    """By gram the prompts without pictures that have it, of grams that few have."""
    grams: dict[int, list[int]] = defaultdict(list)
    num_having: Counter[int] = Counter()
    for at, key in enumerate(keys):
        if not key.shown:
            for gram in set(grams_of(words_of(key.text))):
                num_having[gram] += 1
                if num_having[gram] <= TEMPLATE_NUM:
                    grams[gram].append(at)
    most = max(TEMPLATE_NUM, TEMPLATE_FRAC * len(keys))
    return {gram: found for gram, found in grams.items() if num_having[gram] <= most}
