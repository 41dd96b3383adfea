"""Steps with arrows between them: `4x = 48 => x = 12`."""

from __future__ import annotations

import re
from fractions import Fraction

from verifiers.expression.grammar.parser import parse_notation
from verifiers.expression.text.lexer import Unreadable
from verifiers.expression.values.evaluation import NotExact, NoValue, exact

_ARROW = re.compile(r"\\(?:to|rightarrow|Rightarrow|implies|therefore|Longrightarrow)(?![a-zA-Z])|[=-]>")
_SOLVED = re.compile(r"([A-Za-z](?:_\w)?)\s*=([^=<>]{1,80})")


def contradicts_itself(notation: str) -> bool:
    """True where two steps give one name two values: `x = 2 => x = 3`. Raises `LimitExceeded`."""
    steps = _ARROW.split(notation)
    values: dict[str, Fraction] = {}
    for step in steps if len(steps) > 1 else ():
        if solved := _SOLVED.fullmatch(step.strip(" ,;")):
            try:
                value = exact(parse_notation(solved.group(2)))
            except (Unreadable, NotExact, NoValue):
                continue
            if values.setdefault(solved.group(1), value) != value:
                return True
    return False
