"""Coordinates in a text: numbers in brackets or with names, and the part of a text that states the final ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from verifiers.reading.final_line import boxes, stated_answer, tagged_answer

FoundT = TypeVar("FoundT")
NUMBER = r"[-+]?(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})(?:[eE][-+]?\d{1,3})?"
MAX_GROUPS = 1_000
_GROUP = re.compile(r"[\[({]([^\[\](){}]{1,400})[\])}]")
_NAMED = re.compile(
    rf"(?<![\w.])[\"']?([xy]_?(?:[012]|min|max)?|left|top|right|bottom|w|width|h|height)[\"']?\s{{0,5}}[:=]\s{{0,5}}[\"']?({NUMBER})"
    r"(?![\w.]*\w)",
    re.ASCII | re.IGNORECASE,
)
_OTHER_KEY = re.compile(
    r"[\"']?\b[A-Za-z_]\w{0,40}[\"']?\s{0,5}[:=]\s{0,5}(?:\"[^\"]*\"|'[^']*'|[^,\"']+)(?:,|$)"
)
_PLAIN = re.compile(rf"[\s,;]*({NUMBER})", re.ASCII)
_BARE = re.compile(
    rf"(?:[A-Za-z][A-Za-z \-]{{0,60}}(?:[:=]|\b(?:at|is|are))\s*)?({NUMBER}(?:\s*,\s*{NUMBER}){{1,3}})\.?",
    re.ASCII,
)
_SPACED = re.compile(rf"{NUMBER}(?:\s+{NUMBER}){{1,3}}", re.ASCII)
_ROLE = {"left": "x1", "top": "y1", "right": "x2", "bottom": "y2", "w": "width", "h": "height", "xmin": "x1",
         "ymin": "y1", "xmax": "x2", "ymax": "y2", "x0": "x1", "y0": "y1"}  # fmt: skip
_LAYOUTS = (("x1", "y1", "x2", "y2"), ("x", "y", "width", "height"), ("x", "y"))
_DENIED = re.compile(
    r"(?:\b(?:not|never|than|instead of)|n['’]t)\s(?:(?:at|in|on|be|from|between|the)\s){0,2}$", re.IGNORECASE
)
_FINALLY = re.compile(
    r"\b(?:final(?:ly)?|answer|result|therefore|thus|hence|correct(?:ed|ion))\b", re.IGNORECASE
)


class Group(NamedTuple):
    """The numbers of one bracket, and where it starts and ends in the text."""

    numbers: tuple[float, ...]
    start: int
    end: int


def plain_numbers(text: str, most: int = 8) -> tuple[float, ...] | None:
    """Numbers with blanks, commas or semicolons between them, quoted or not; None for more or for anything else."""
    text = text.replace('"', " ").replace("'", " ").strip(" \t\r\n,;")
    numbers: list[float] = []
    position = 0
    while position < len(text):
        match = _PLAIN.match(text, position)
        if (
            match is None
            or (numbers and match.end(0) - len(match.group(1)) == position)
            or len(numbers) == most
        ):
            return None
        numbers.append(float(match.group(1)))
        position = match.end()
    return tuple(numbers) or None


def named_numbers(text: str) -> tuple[float, ...] | None:
    """`x1=1, y1=2, x2=3, y2=4` (also `x_min`, `left`, `x` with `width`) as a box, `x: 1, y: 2` as a point."""
    roles: dict[str, float] = {}
    for match in _NAMED.finditer(text):
        name = match.group(1).lower().replace("_", "")
        role = _ROLE.get(name, name)
        if role in roles:
            return None
        roles[role] = float(match.group(2))
    for layout in _LAYOUTS:
        if set(roles) == set(layout):
            numbers = tuple(roles[name] for name in layout)
            if layout[-1] == "height":
                return (*numbers[:2], numbers[0] + numbers[2], numbers[1] + numbers[3])
            return numbers
    return None


def number_groups(text: str) -> list[Group]:
    """Every innermost bracket that holds coordinates, in order; arguments with other names are passed over, and so is
    what stands behind a `not`.

    >>> [group.numbers for group in number_groups("click(x=5, y=7) near [1, 2, 3, 4] (see Fig. 2)")]
    [(5.0, 7.0), (1.0, 2.0, 3.0, 4.0)]
    """
    found: list[Group] = []
    for match in _GROUP.finditer(text):
        if denied(text, match.start()):
            continue
        content = match.group(1)
        numbers = named_numbers(content) or plain_numbers(_OTHER_KEY.sub(" ", content))
        if numbers is not None:
            found.append(Group(numbers, match.start(), match.end()))
            if len(found) == MAX_GROUPS:
                break
    return found


def denied(text: str, start: int) -> bool:
    """Whether `not`, `instead of` or the like stands right before `start`."""
    return _DENIED.search(text[max(0, start - 30) : start]) is not None


def unbracketed(text: str) -> tuple[float, ...] | None:
    """The coordinates of a text that is nothing but named numbers, or numbers with commas, after a label or none."""
    bare = text.strip(" \t\r\n*`$_")
    if len(bare) > 400:
        return None
    if (match := _BARE.fullmatch(bare)) and not denied(bare, match.start(1)):
        return plain_numbers(match.group(1))
    return named_numbers(bare)


def final_statement(text: str, read: Callable[[str], list[FoundT]]) -> list[FoundT]:
    """What `read` finds in the part that states the answer: the `<answer>` tag or the last box; else what follows
    the last `final`, `answer`, `therefore` or `corrected` of a text that is no one list, mapping or fence, if anything
    is there; else all.
    """
    if tagged_answer(text) is not None or boxes(text):
        stated = stated_answer(text)  # a wrapper tells numbers with blanks between them from other numbers
        return read(", ".join(stated.split()) if _SPACED.fullmatch(stated) else stated)
    if _is_one_value(text.strip()):
        return read(text)
    ends = [marker.end() for marker in _FINALLY.finditer(text)]
    return (read(text[ends[-1] :]) if ends else []) or read(text)


def _is_one_value(text: str) -> bool:
    """Whether a text is one list, one mapping or one fence, as far as brackets tell."""
    if text.startswith("```"):
        return text.endswith("```") and text.count("```") == 2
    depth = 0
    for position, char in enumerate(text if text.startswith(("[", "{")) else ""):
        depth += (char in "[{") - (char in "]}")
        if not depth:
            return position == len(text) - 1
    return depth > 0
