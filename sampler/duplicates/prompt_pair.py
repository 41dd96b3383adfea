"""Two prompts that are one, or nearly: where each stands in its set, and how alike they are."""

from __future__ import annotations

from typing import Literal, NamedTuple

PairKind = Literal["exact", "near", "12-gram", "picture"]
SAYS: dict[PairKind, str] = {
    "exact": "the same but for case, blanks and marks at the ends; the same pictures",
    "near": "a question and pictures that are nearly the same",
    "12-gram": "twelve words in a row of a question without pictures",
    "picture": "nearly the same picture with another question or answer: no duplicate, but worth a look if held out",
}


class PromptPair(NamedTuple):
    """``first`` stays (of a leak: is held out), ``second`` is the one too many. ``text_similarity`` is in 0..1,
    ``picture_bits`` the largest number of bits in which their pictures' hashes differ."""

    first: int
    second: int
    kind: PairKind
    text_similarity: float = 1.0
    picture_bits: int = 0
