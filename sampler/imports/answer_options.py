"""Options of a question that lie in columns of their own: put into the question, and the answer among them named."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from string import ascii_uppercase
from typing import Any, Literal, get_args

from verifiers.errors import BadInput, BadReference
from verifiers.kinds.choice import ChoiceVerifier

LISTS = ("options", "choices")
MAX_OPTIONS = 26
AnswerReading = Literal["text", "letter", "index0", "index1"]  # an index counts from 0 or from 1
READINGS: tuple[AnswerReading, ...] = get_args(AnswerReading)
NEARLY_ALL = 0.99  # of a source's rows


def option_columns(values: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns that hold a row's options: one with a list, or `A`, `B` and so on; nothing where there are none."""
    for name in LISTS:
        if values.get(name):
            return (name,)
    letters = []
    for letter in ascii_uppercase:
        if values.get(letter) is None:
            break
        letters.append(letter)
    return tuple(letters) if len(letters) > 1 else ()


def options_of(values: Mapping[str, Any]) -> list[str]:
    """The options in order; a list may be JSON text, or Python's. Raises `BadInput`."""
    names = option_columns(values)
    found = values[names[0]] if len(names) == 1 else [values[name] for name in names]
    if isinstance(found, str):
        found = _list_in(found)
    if isinstance(found, dict):
        found = [found[letter] for letter in sorted(found)]
    if not isinstance(found, list) or not 2 <= len(found) <= MAX_OPTIONS:
        raise BadInput(f"options are a list of 2 to {MAX_OPTIONS} texts")
    return [str(option) for option in found]


def with_options(question: str, options: Sequence[str]) -> str:
    """The question with a line for each option, unless it names them all itself, as words of their own and in order."""
    end = 0
    for option in options:
        if (found := re.compile(rf"(?<!\w){re.escape(option)}(?!\w)").search(question, end)) is None:
            break
        end = found.end()
    else:
        return question
    lines = [f"{letter}. {option}" for letter, option in zip(ascii_uppercase, options, strict=False)]
    return "\n".join([question.rstrip(), *lines])


def readings_of(answer: Any, options: Sequence[str]) -> dict[AnswerReading, str]:
    """Which option an answer names, its letter, by each reading that it allows.

    >>> readings_of(2, ["3", "1", "0", "2"])
    {'text': 'D', 'index0': 'C', 'index1': 'B'}
    """
    text = str(answer).strip()
    same = [at for at, option in enumerate(options) if option.strip().casefold() == text.casefold()]
    found: dict[AnswerReading, str] = {}
    if len(same) == 1:
        found["text"] = ascii_uppercase[same[0]]
    if letter := _letter(text, options, is_text=bool(same)):
        found["letter"] = letter
    if re.fullmatch(r"\d{1,2}(\.0)?", text):
        number = int(float(text))
        if number < len(options):
            found["index0"] = ascii_uppercase[number]
        if 1 <= number <= len(options):
            found["index1"] = ascii_uppercase[number - 1]
    return found


def _letter(text: str, options: Sequence[str], *, is_text: bool) -> str | None:
    """What a letter, several, or one with its option's text says, as `choice` takes it."""
    letter = text.strip("(). ").upper()
    if is_text and not re.fullmatch("[A-Z]", letter):
        return None
    try:
        ChoiceVerifier().prepare({"answer": letter, "options": [] if is_text else list(options)})
    except BadReference:
        return None
    return letter if len(letter) != 1 or letter in ascii_uppercase[: len(options)] else None


def readings_that_fit(seen: Mapping[tuple[AnswerReading, ...], int]) -> tuple[AnswerReading, ...]:
    """Of rows counted by the readings that each allows, the readings that most rows allow, if nearly all do; none where
    a source mixes them."""
    counts = {reading: sum(num for found, num in seen.items() if reading in found) for reading in READINGS}
    most = max(counts.values())
    if not most or most < NEARLY_ALL * sum(seen.values()):
        return ()
    return tuple(reading for reading in READINGS if counts[reading] == most)


def answer_among(
    answer: Any, options: Sequence[str], readings: Sequence[AnswerReading] = ()
) -> dict[str, Any]:
    """A reference of `choice`: the letter of the answer, given as one of ``readings``; without any by its text or its
    letter. Raises `BadInput` for an answer that names no option, or another one by another reading."""
    allowed = readings_of(answer, options)
    found = {reading: letter for reading, letter in allowed.items() if not readings or reading in readings}
    text = str(answer).strip()[:40]
    if not found or (not readings and not found.keys() & {"text", "letter"}):
        ways = " or ".join(readings or ("text", "letter"))
        raise BadInput(f"the answer {text!r} is none of the options, by {ways}")
    if len(set(found.values())) > 1:
        ways = ", ".join(f"{letter} by {reading}" for reading, letter in found.items())
        raise BadInput(f"the answer {text!r} may be {ways}: say which with --answers")
    return {"answer": next(iter(found.values())), "options": list(options)}


def _list_in(text: str) -> Any:
    with suppress(ValueError, RecursionError):
        return json.loads(text)
    with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
        return ast.literal_eval(text[:20_000])
    return None
