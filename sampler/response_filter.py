"""What a right response may still be unfit for: babble, leftovers of a chat template, being said already."""

from __future__ import annotations

import re

# Special tokens, and a role's mark where a turn would begin: a response that goes on with a conversation of its own.
_SPECIAL_TOKEN = re.compile(
    r"<\|[\w-]{1,40}\|>|<｜[\w▁-]{1,40}｜>|<</?SYS>>|\[/?INST\]|</?s>(?=\s|$)|<(?:start|end)_of_turn>"
)
_ROLE_MARK = re.compile(
    r"^\s{0,8}(?:#{1,4}\s?)?(?:human|assistant|system|user)\s{0,2}(?::|\n|$)", re.IGNORECASE | re.MULTILINE
)
_SPACE = re.compile(r"\s+")
MAX_LOOKED_AT = 20_000  # characters


def is_repetitive(text: str, max_repeats: int) -> bool:
    """True when some phrase of 1 to 40 characters stands more than ``max_repeats`` times in a row.

    Digits and white space alone do not count: 1000000000 is a number, eight spaces are an indentation. Work is linear
    in the text (bounded back-references over a text cut at 20,000 characters), whatever a model writes.
    """
    runs = re.finditer(rf"([\s\S]{{1,40}}?)\1{{{max_repeats},}}", text[:MAX_LOOKED_AT])
    return any(re.search(r"[^\d\s]", run[1]) for run in runs)


def template_leftover(text: str) -> str | None:
    """A special token or a role's mark at the beginning of a line, as it stands there; None where there is none.

    >>> template_leftover("The sum is 9.\\nuser: and now?"), template_leftover("The user: nine apples")
    ('user:', None)
    """
    found = _SPECIAL_TOKEN.search(text) or _ROLE_MARK.search(text)
    return found[0].strip() if found else None


def similarity(one: str, other: str) -> float:
    """From 0 to 1, the normalised indel similarity of two responses: 1 - (insertions + deletions) / (both lengths).
    Case and white space do not count.

    >>> similarity("3 + 5 = 8", "3+5=8"), similarity("ab", "cd")
    (1.0, 0.0)
    """
    from rapidfuzz import fuzz

    plain = [_SPACE.sub("", text[:MAX_LOOKED_AT]).casefold() for text in (one, other)]
    return float(fuzz.ratio(*plain)) / 100
