"""Whether a question asks more than one thing, so that one final answer cannot be judged."""

from __future__ import annotations

import re
from itertools import pairwise

MAX_LOOKED_AT = 20_000  # characters
# Marks of sub-questions at the beginning of a line or after a sentence: "(1)", "2.", "a)", "(ii)", "Part B:", "问题2".
_NUMBERED = re.compile(
    r"(?:^|(?<=[.?!:;。？！：；\n]))\s*"
    r"(?:[(（]\s*(?P<in_brackets>\d{1,2}|[a-h]|i{1,3}|iv|v)\s*[)）]|(?P<bare>\d{1,2}|[a-h])\s*[.)、](?!\d)"
    r"|(?:part|question|q)\s*(?P<part>\d{1,2}|[a-h])\s*[.:)])",
    re.IGNORECASE | re.MULTILINE,
)
_OPTION = re.compile(r"^\s*[(（]?[A-Z][)）.．、:：]\s*\S", re.MULTILINE)
_QUOTED = re.compile(r"[\"“][^\"“”\n]{0,200}[\"”]")
_QUESTION_MARK = re.compile(r"[?？](?=\s|$|[\"'”’)）])|？")
_ASKING = (
    r"what|which|who|whom|whose|when|where|why|how|is|are|was|were|do|does|did|can|could|find|calculate|compute|determine|"
    r"name|list|give|state|explain|describe|count|estimate|prove|show"
)
# "What is x and what is y", "find the area and calculate the perimeter".
_ASKS_AGAIN = re.compile(
    rf"\b(?:{_ASKING})\b[^.?!]{{3,200}}?(?:,|;)?\s\b(?:and|then|also)\b\s+(?:also\s+)?"
    r"(?:what|which|who|where|when|why|how (?:many|much|long|far|old|tall|large)|find|calculate|compute|determine"
    r"|explain|prove)\b",
    re.IGNORECASE,
)
_ASKS = re.compile(rf"\W*(?:(?:{_ASKING})\b|求|计算|写出|解释|说明|证明|找出)", re.IGNORECASE)
_SEVERAL = re.compile(
    r"\brespectively\b|\beach of the following\b|\bboth of the following\b|分别", re.IGNORECASE
)


def asks_several(question: str) -> str | None:
    """What shows that the question asks several things; None where it asks one.

    Lines of options are no questions. A condition that ends in a question mark only once asks once.

    >>> asks_several("(1) What is x? (2) What is y?"), asks_several("What is the sum of 3 and 4?")
    ('numbered sub-questions', None)
    """
    lines = _QUOTED.sub('""', question[:MAX_LOOKED_AT]).splitlines()
    text = "\n".join(line for line in lines if not _OPTION.match(line))
    marks = {next(filter(None, found.groups())).lower() for found in _NUMBERED.finditer(text)}
    if _follow_each_other(marks) and not _is_a_list_of_facts(text):
        return "numbered sub-questions"
    if len(_QUESTION_MARK.findall(text)) > 1:
        return "several question marks"
    if _ASKS_AGAIN.search(text):
        return "asks again after 'and'"
    if _SEVERAL.search(text):
        return "asks for several values"
    return None


def _follow_each_other(marks: set[str]) -> bool:
    return any(first in marks and second in marks for first, second in (("1", "2"), ("a", "b"), ("i", "ii")))


def _is_a_list_of_facts(text: str) -> bool:
    """Numbered statements before one question at the end: "1. All cats are grey. 2. Tom is a cat. Is Tom grey?"."""
    marks = list(_NUMBERED.finditer(text))
    pieces = [text[one.end() : following.start()] for one, following in pairwise(marks)]
    return not any(_QUESTION_MARK.search(piece) or _ASKS.match(piece) for piece in pieces)


def holds_several(reference: str) -> bool:
    """Whether a reference is of several answers: "x = 3; y = 4", "(1) 5 (2) 7", "5 and 7".

    >>> holds_several("(1) 5 (2) 7"), holds_several("(3, 4)"), holds_several("black and white")
    (True, False, False)
    """
    reference = reference[:MAX_LOOKED_AT]
    first = re.search(r"[(（][1a][)）]", reference)
    if first and re.search(r"[(（][2b][)）]", reference[first.end() :]):
        return True
    parts = [part for part in re.split(r"[;；\n]", reference) if part.strip()]
    if len(parts) > 1:
        return True
    return bool(re.fullmatch(r"\s*-?[\d.,]+\s*\w{0,12}\s+and\s+-?[\d.,]+\s*\w{0,12}\s*", reference))
