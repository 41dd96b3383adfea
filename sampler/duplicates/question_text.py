"""What a prompt asks, made comparable: its normal form, the numbers in it, its 12-grams."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

GRAM_WORDS = 12
_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_EDGES = " \t\n.,;:!?\"'`*_"


def normal_text(text: str) -> str:
    """Without what hides a copy: case, kinds of blanks, forms of one character (NFKC), marks at the ends.

    >>> normal_text(" How many  CUPS are there? ") == normal_text("how many cups are there")
    True
    """
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).strip(_EDGES)


def words_of(text: str) -> list[str]:
    """The words of a normal text."""
    return _WORD.findall(text)


def numbers_of(text: str) -> tuple[str, ...]:
    """The numbers in order: questions that differ in one are two questions."""
    return tuple(_NUMBER.findall(text))


def grams_of(words: Sequence[str], num_words: int = GRAM_WORDS) -> Iterator[int]:
    """A hash of each run of so many words, the same in this process and its forks."""
    for start in range(len(words) - num_words + 1):
        yield hash(" ".join(words[start : start + num_words]))
