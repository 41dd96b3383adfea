"""Where in a final answer the answer itself stands: the last box, an answer tag, or a short bare text."""

from __future__ import annotations

import json
import re
from typing import Any

MAX_ANSWER_CHARS = 200_000
_ANSWER_KEYS = frozenset({"answer", "final_answer", "correct_answer"})
_LANGUAGE = re.compile(r"[\w+-]{0,20}\s*")
_BOX = re.compile(r"\\(?:boxed|f(?:rame)?box)\s*(?=\{)|\\(?:boxed|f(?:rame)?box)\s+([^\s{}$]+)")


def boxes(text: str) -> list[tuple[int, int, str]]:
    """Every complete `\\boxed{...}` as (start, end, content), outermost only, in order. Linear in the text."""
    found: list[tuple[int, int, str]] = []
    position = 0
    while True:
        match = _BOX.search(text, position)
        if match is None:
            return found
        if match.group(1) is not None:
            found.append((match.start(), match.end(), match.group(1)))
            position = match.end()
            continue
        end = closing_brace(text, match.end())
        if end < 0:
            return found
        found.append((match.start(), end + 1, text[match.end() + 1 : end]))
        position = end + 1


def closing_brace(text: str, start: int) -> int:
    """Index of the brace that closes the one at `start`, or -1. Escaped braces (`\\{`) do not count."""
    depth = 0
    position = start
    while position < len(text):
        char = text[position]
        if char == "\\":
            position += 2
            continue
        if char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
            if depth == 0:
                return position
        position += 1
    return -1


def last_box(text: str) -> str | None:
    """Content of the last complete box; a later box always replaces an earlier one."""
    found = boxes(text)
    return found[-1][2] if found else None


def tagged_answer(text: str) -> str | None:
    """Content of the last `<answer>...</answer>`; without a tag, the key `answer` of a JSON object that is the whole
    text, fenced or not.
    """
    lowered = text.lower()
    end = lowered.rfind("</answer>")
    start = lowered.rfind("<answer>", 0, end) if end >= 0 else -1
    return text[start + len("<answer>") : end].strip() if start >= 0 else _json_answer(text)


def unfenced(text: str) -> str:
    """The content of a code fence that ends the text, with at most a lead-in before it that ends in a colon; any other
    text as it is, stripped.

    >>> unfenced("The grid:\\n```\\n1 2\\n```")
    '1 2'
    """
    stripped = text.strip()
    if not stripped.endswith("```"):
        return stripped
    before, found, inside = stripped[:-3].rpartition("```")
    if not found or (before.strip() and not before.rstrip().endswith(":")):
        return stripped
    language, newline, content = inside.partition("\n")
    return (content if newline and _LANGUAGE.fullmatch(language) else inside).strip()


def _json_answer(text: str) -> str | None:
    inside = unfenced(text)
    if not (inside.startswith("{") and inside.endswith("}")) or len(inside) > 20_000:
        return None
    try:
        found = json.loads(inside, parse_float=str, parse_int=str, object_pairs_hook=list)
    except (ValueError, RecursionError):
        return None
    answers = [value for key, value in found if key.lower().replace(" ", "_") in _ANSWER_KEYS]
    return _shown_value(answers[0]) if len(answers) == 1 else None


def _shown_value(value: Any) -> str | None:
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return value.strip() if isinstance(value, str) else None


def stated_answer(text: str) -> str:
    """What a wrapper marks (`tagged_answer`; a box inside it first), else the last box, else the whole text without
    a fence around it, stripped.
    """
    tagged = tagged_answer(text)
    inside = tagged if tagged is not None else text
    boxed = last_box(inside)
    return boxed.strip() if boxed is not None else unfenced(inside)
