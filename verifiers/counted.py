"""A number with its noun, as a person says it."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """The noun is given in the singular.

    >>> counted(1, "row"), counted(2000, "held-out prompt"), counted(2, "batch")
    ('1 row', '2,000 held-out prompts', '2 batches')
    """
    if number != 1:
        noun += "es" if noun.endswith(("s", "x", "ch", "sh")) else "s"
    return f"{number:,} {noun}"
