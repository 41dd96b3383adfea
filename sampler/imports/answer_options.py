"""Options of a question that lie in columns of their own: put into the question, and the answer among them named."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from string import ascii_uppercase
from typing import Any

from verifiers.errors import BadInput, BadReference
from verifiers.kinds.choice import ChoiceVerifier

LISTS = ("options", "choices")
MAX_OPTIONS = 26


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
    """The question with a line for each option, unless it names them all itself."""
    if all(option in question for option in options):
        return question
    lines = [f"{letter}. {option}" for letter, option in zip(ascii_uppercase, options, strict=False)]
    return "\n".join([question.rstrip(), *lines])


def answer_among(answer: Any, options: Sequence[str]) -> dict[str, Any]:
    """A reference of `choice`: the letter of the answer, which is given by its text or its letter. Raises `BadInput`: a
    number that is no option may count from 0 or from 1."""
    text = str(answer).strip()
    same = [at for at, option in enumerate(options) if option.strip().casefold() == text.casefold()]
    letter = ascii_uppercase[same[0]] if len(same) == 1 else text.strip("(). ").upper()
    reference = {"answer": letter, "options": list(options)}
    try:
        ChoiceVerifier().prepare(reference)
    except BadReference:
        raise BadInput(f"the answer {text[:40]!r} is none of the options, by text or letter") from None
    return reference


def _list_in(text: str) -> Any:
    with suppress(ValueError, RecursionError):
        return json.loads(text)
    with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
        return ast.literal_eval(text[:20_000])
    return None
