"""Words, sentences, paragraphs and sections of a text; offline and deterministic."""

from __future__ import annotations

import re

_SENTENCE_END = re.compile(r"(?<![.!?])[.!?]++[\"'”’)\]]*+(?=\s|$)|[。！？]+")
_ABBREVIATION = re.compile(
    r"\b(?:mr|mrs|ms|dr|prof|sr|jr|st|vs|etc|inc|ltd|co|no|fig|e\.g|i\.e|a\.m|p\.m|u\.s|u\.k)\.$",
    re.IGNORECASE,
)
_INITIAL = re.compile(r"(?:^|\s)[A-Z]\.$")


def words(text: str) -> list[str]:
    """Runs of letters, digits and underscores, as IFEval's `\\w+` tokenizer counts them."""
    return re.findall(r"\w+", text)


def num_sentences(text: str) -> int:
    """Sentences by their final marks; abbreviations, initials and decimals end none. A text without marks is one."""
    count, start = 0, 0
    for match in _SENTENCE_END.finditer(text):
        piece = text[start : match.end()].rstrip("\"'”’)]")
        tail = piece[-12:]
        if match.group().startswith(".") and (_ABBREVIATION.search(tail) or _INITIAL.search(tail)):
            continue
        if piece.strip():
            count += 1
            start = match.end()
    return count + bool(text[start:].strip())


def paragraphs(text: str) -> list[str] | None:
    """Paragraphs between separators (`***`); an empty one inside makes the layout wrong: None."""
    parts = re.split(r"\s?\*\*\*\s?", text)
    filled = [part.strip() for part in parts]
    if any(not part for part in filled[1:-1]):
        return None
    return [part for part in filled if part]
