"""A puzzle's solution out of a final answer: without the fence, the lead-in, the markup and the JSON around it."""

from __future__ import annotations

import json
import re

from verifiers.reading.final_line import boxes, stated_answer, tagged_answer

_FENCE = re.compile(r"```[\w+-]{0,20}[ \t]*\n?(.*?)```", re.DOTALL)
_ANSWER_LINE = re.compile(
    r"(?im)^\W{0,6}(?:(?:so|therefore|thus|hence),?\s)?(?:the\s|my\s)?(?:final\s|correct\s)?(?:answer|solution)(?:\s+is)?"
    r"\s*\W{0,3}[:：]\W{0,3}?(?=\s|[\w(\[{*`$+-])"
)
_LEAD_IN = re.compile(
    r"(?i)^(?:[a-z][a-z '’,-]{0,100}?)?\b(?:answer|solution|expression|equation|path|route|order|moves?|steps|list"
    r"|sequence|colou?ring|assignment|grid|board|placement|positions?|queens|columns?|puzzle|sorted|it)\b"
    r"[a-z '’,-]{0,60}?(?::|\b(?:is|are|as)\b:?)\s*"
    r"(?:(?:placed|at|in|columns?|follows|(?:ascending|descending)\sorder)\b:?\s*)*(?=\S)"
)
_BULLET = re.compile(r"^\s*(?:\d{1,3}[.)]|[-*•])\s+")
_MARKUP = re.compile(r"\*\*|__|`|(?m:^\s{0,3}#{1,6}\s)")


def solution_text(text: str) -> str:
    """The stated solution: what a tag or a box marks, else the last code fence, else what follows a last line
    `Answer:`, else the text; without a lead-in (`The path is`), markdown and a JSON object of one key around it.

    >>> solution_text("**The shortest path is** A -> B.")
    'A -> B'
    """
    if tagged_answer(text) is not None or boxes(text):
        inside = stated_answer(text)
    else:
        fences = _FENCE.findall(text)
        starts = [match.end() for match in _ANSWER_LINE.finditer(text)]
        inside = fences[-1] if fences else text[starts[-1] :] if starts else stated_answer(text)
    inside = _MARKUP.sub("", inside).strip()
    inside = _LEAD_IN.sub("", inside, count=1).strip(" \t\r\n")
    if inside.startswith(("\\(", "\\[")) and inside.rstrip(".").endswith(("\\)", "\\]")):
        inside = inside.rstrip(".")[2:-2].strip()
    is_sentence = inside.endswith((".", "。")) and "\n" not in inside and not inside.endswith("Q.")
    return _unwrapped(inside[:-1].rstrip() if is_sentence else inside)


def _unwrapped(text: str) -> str:
    """The value of a JSON object of one key whose value is a list, a mapping or a text; other text as it is."""
    if not (text.startswith("{") and text.endswith("}")):
        return text
    try:
        found = json.loads(text, object_pairs_hook=list)
    except (ValueError, RecursionError):
        return text
    if len(found) != 1 or not isinstance(found[0][1], (list, str)) or found[0][0].isdecimal():
        return text
    value = found[0][1]
    if isinstance(value, str):
        return value if len(value) > 1 and not value.isalpha() else text
    is_mapping = all(isinstance(item, tuple) and len(item) == 2 for item in value)
    return ", ".join(f"{key}: {item}" for key, item in value) if is_mapping else json.dumps(value)


def without_bullets(text: str) -> str:
    """Lines without their list marks or numbers, where every one of several lines has one."""
    lines = [line for line in text.split("\n") if line.strip()]
    if len(lines) < 2 or not all(_BULLET.match(line) for line in lines):
        return text
    return "\n".join(_BULLET.sub("", line) for line in lines)
