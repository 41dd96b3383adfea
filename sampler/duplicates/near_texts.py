"""Texts that say nearly the same, found by MinHash (Broder 1997) without comparing each with each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from sampler.data.packed_rows import in_processes
from sampler.duplicates.question_text import grams_of, numbers_of, words_of

MIN_JACCARD = 0.8  # of the sets of 3-grams
MIN_WORDS = 8  # of a text; a shorter one that differs in a word is another question
_PERMUTATIONS, _BANDS = 128, 16  # 16 bands of 8: texts at 0.8 are found with 95%, at 0.9 with 99.98%
_LINKS = 4  # texts of one place in a band that each is compared with
_PART = 2048


def near_texts(texts: Sequence[str]) -> list[tuple[int, int, float]]:
    """(index, later index, Jaccard similarity) of different normal texts of at least ``MIN_WORDS`` words with the same
    numbers. Each text is compared with some of those in its place only, so that time grows with their number."""
    words = [words_of(text) for text in texts]
    long = [at for at, found in enumerate(words) if len(found) >= MIN_WORDS]
    parts = [long[start : start + _PART] for start in range(0, len(long), _PART)]

    def signatures(part: Sequence[int]) -> np.ndarray:
        return _signatures([words[at] for at in part])

    if not long:
        return []
    rows = np.concatenate(list(in_processes(signatures, parts)))  # [texts, permutations]
    same_numbers = [hash(numbers_of(texts[at])) for at in long]
    pairs: set[tuple[int, int]] = set()
    width = _PERMUTATIONS // _BANDS
    for band in range(_BANDS):
        places: dict[tuple[int, bytes], list[int]] = defaultdict(list)
        part = np.ascontiguousarray(rows[:, band * width : (band + 1) * width])
        for at, numbers in enumerate(same_numbers):
            place = places[numbers, part[at].tobytes()]
            pairs.update((other, at) for other in place[-_LINKS:])
            place.append(at)
    found = []
    for one, other in sorted(pairs):
        a, b = long[one], long[other]
        similarity = _jaccard(words[a], words[b])
        if similarity >= MIN_JACCARD:
            found.append((a, b, similarity))
    return found


def _signatures(texts: Sequence[Sequence[str]]) -> np.ndarray:
    from datasketch import MinHash

    rows = np.empty((len(texts), _PERMUTATIONS), np.uint64)
    blank = MinHash(num_perm=_PERMUTATIONS, seed=1, hashfunc=_low_bits)
    for at, words in enumerate(texts):
        one = blank.copy()
        one.update_batch(list(grams_of(words, 3)))
        rows[at] = one.hashvalues
    return rows


def _low_bits(gram: int) -> int:
    return gram & 0xFFFFFFFF


def _jaccard(one: Sequence[str], other: Sequence[str]) -> float:
    a, b = set(grams_of(one, 3)), set(grams_of(other, 3))
    return len(a & b) / len(a | b)
