"""Where in a final answer the answer itself stands: the last box, an answer tag, or a short bare text."""

from __future__ import annotations

import re

MAX_ANSWER_CHARS = 200_000
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
    """Content of the last `<answer>...</answer>`."""
    lowered = text.lower()
    end = lowered.rfind("</answer>")
    start = lowered.rfind("<answer>", 0, end) if end >= 0 else -1
    return text[start + len("<answer>") : end].strip() if start >= 0 else None


def stated_answer(text: str) -> str:
    """The last box, else the last `<answer>` tag (a box inside it first), else the whole text, stripped."""
    tagged = tagged_answer(text)
    inside = tagged if tagged is not None else text
    boxed = last_box(inside)
    return (boxed if boxed is not None else inside).strip()
