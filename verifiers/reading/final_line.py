"""Where in a final answer the answer itself stands: the last box, an answer tag, or a short bare text."""

from __future__ import annotations

import json
import re
from typing import Any

MAX_ANSWER_CHARS = 200_000
_ANSWER_KEYS = frozenset(
    {"answer", "final_answer", "correct_answer", "choice", "correct_option", "correct_choice"}
)
_LANGUAGE = re.compile(r"[\w+-]{0,20}\s*")
# \boxed{...} and its like, \boxed 5, and the tokens that GLM-4.1V and later write around an answer
_BOX = re.compile(
    r"\\(?:boxed|f(?:rame)?box)\s*(?=\{)|\\(?:boxed|f(?:rame)?box)\s+([^\s{}$]+)|(<\|begin_of_box\|>)"
)
_BOX_END = "<|end_of_box|>"
_JOIN = re.compile(
    r"[\s$*,;]*(?:and|or|&|[,;、或和])?[\s$*]*", re.IGNORECASE
)  # between boxes that are one answer
_MAX_JOIN = 20
# Tokens that end a turn, left in a text by a template that does not know them; characters that print nothing.
_END_TOKENS = re.compile(
    r"(?:\s|<\|(?:im_end|end|endoftext|end_of_text|eot_id|eom_id|eos|return|user|observation)\|>|</s>|<eos>"
    r"|<end_of_turn>|<｜end▁of▁sentence｜>|\[EOS\])+$"
)
_MAX_TAIL = 200
# What is crossed out or only keeps room is not stated.
_UNSTATED = re.compile(r"\\(?:sout|st|[bx]?cancel|[hv]?phantom)\s*(?=\{)")
_CROSSED_OUT = re.compile(r"~~(?=\S)[^~\n]{1,400}~~|<(del|strike)>[^<]{0,400}</\1>")
_INVISIBLE = str.maketrans(dict.fromkeys("\ufeff\u200b\u200e\u200f\u2060\xad\ufe0e\ufe0f\u20e3"))


def boxes(text: str) -> list[tuple[int, int, str]]:
    """Every `\\boxed{...}` as (start, end, content), outermost only, in order. Linear in the text.

    One that never closes stands there with empty content: an answer that was cut states nothing, whatever stood
    before it.
    """
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
        if match.group(2) is not None:
            end, width = text.find(_BOX_END, match.end()), len(_BOX_END)
            start = match.end()
        else:
            end, width = closing_brace(text, match.end()), 1
            start = match.end() + 1
        if end < 0:
            return [*found, (match.start(), len(text), "")]
        found.append((match.start(), end + width, text[start:end]))
        position = end + width


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
    """Content of the last box; a later box replaces an earlier one, but boxes joined by no more than `and`, `or`, a
    comma or blanks are one answer: what several say alike is said once, unless nothing stands between. An empty last
    one states nothing.
    """
    found = boxes(text)
    if not found:
        return None
    parts = [unboxed(found[-1][2])]
    for (_, end, earlier), (start, _, _) in zip(reversed(found[:-1]), reversed(found[1:]), strict=True):
        if start - end > _MAX_JOIN or not _JOIN.fullmatch(text, end, start) or not parts[0].strip():
            break
        if start == end or unboxed(earlier) not in parts:
            parts.append(unboxed(earlier))
    return ", ".join(reversed(parts))


def unboxed(content: str) -> str:
    """A content that is itself one box, without it: `\\boxed{\\boxed{5}}`."""
    for _ in range(4):
        inner = boxes(content)
        if len(inner) != 1 or content[: inner[0][0]].strip(" $") or content[inner[0][1] :].strip(" $"):
            break
        content = inner[0][2]
    return content


def tagged_answer(text: str) -> str | None:
    """Content of the last `<answer>...</answer>` (one that is never closed goes to the end, as where `</answer>` is a
    stop string); without a tag, the key `answer` of a JSON object that is the whole text, fenced or not.
    """
    lowered = text.lower()
    end = lowered.rfind("</answer>")
    if end < 0 and lowered.count("<answer>") == 1:
        return text[lowered.find("<answer>") + len("<answer>") :].strip()
    start = lowered.rfind("<answer>", 0, end) if end >= 0 else -1
    if start < 0:
        return _json_answer(text)
    start += len("<answer>")
    return text[start : lowered.find("</answer>", start)].strip()


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


def _without_unstated(text: str) -> str:
    kept: list[str] = []
    position = 0
    for match in _UNSTATED.finditer(text):
        if match.start() < position:
            continue  # inside one that is gone
        kept.append(text[position : match.start()])
        end = closing_brace(text, match.end())
        if end < 0:
            return "".join(kept)
        position = end + 1
    return "".join(kept) + text[position:]


def visible(text: str) -> str:
    """`text` without the tokens that end a turn, what is crossed out, and characters that print nothing. Linear."""
    if not text.isascii():
        text = text.translate(_INVISIBLE)
    if "~~" in text or "</" in text:
        text = _CROSSED_OUT.sub(" ", text)
    if "\\" in text and _UNSTATED.search(text):
        text = _without_unstated(text)
    if not (text[-1:].isspace() or text.endswith((">", "]"))):
        return text
    tail = text[-_MAX_TAIL:]
    return text[: len(text) - len(tail)] + _END_TOKENS.sub("", tail)


def stated_answer(text: str) -> str:
    """What a wrapper marks (`tagged_answer`; a box inside it first), else the last box, else the whole text without
    a fence around it, stripped.
    """
    text = visible(text)
    tagged = tagged_answer(text)
    inside = tagged if tagged is not None else text
    boxed = last_box(inside)
    return boxed.strip() if boxed is not None else unfenced(inside)
