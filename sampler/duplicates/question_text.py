"""What a prompt asks, made comparable: its normal form, its words without fillers, the numbers in it, its 12-grams."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

GRAM_WORDS = 12
_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_EDGES = " \t\n.,;:!?\"'`*_"
_TOKEN = re.compile(r"\w+|[^\w\s]")
_MARKS = frozenset(".,;:!?\"'`…“”„‘’«»")
# Words that a question may have or lack and ask the same; not in a short one, where each may be what it is about.
_FILLERS = frozenset("a an the is are do does there please look now".split())
MIN_WORDS = 8  # of a question that is none


def normal_text(text: str) -> str:
    """Without what hides a copy: case, kinds of blanks, forms of one character (NFKC), marks at the ends.

    >>> normal_text(" How many  CUPS are there? ") == normal_text("how many cups are there")
    True
    """
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).strip(_EDGES)


def words_of(text: str) -> list[str]:
    """The words of a normal text."""
    return _WORD.findall(text)


def content_of(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a normal text says, in order: questions that differ in a word, a number or an operator are two, however much
    they share with a template.

    >>> content_of("how many of the red cubes are there, please? answer with a number")[0]
    ('how', 'many', 'of', 'red', 'cubes', 'answer', 'with', 'number')
    """
    tokens = [one for one in _TOKEN.findall(text) if one not in _MARKS]
    if len(tokens) >= MIN_WORDS:
        tokens = [one for one in tokens if one not in _FILLERS]
    return tuple(tokens), numbers_of(text)


def numbers_of(text: str) -> tuple[str, ...]:
    """The numbers in order: questions that differ in one are two questions."""
    return tuple(_NUMBER.findall(text))


def grams_of(words: Sequence[str], num_words: int = GRAM_WORDS) -> Iterator[int]:
    """A hash of each run of so many words, the same in this process and its forks."""
    for start in range(len(words) - num_words + 1):
        yield hash(" ".join(words[start : start + num_words]))
