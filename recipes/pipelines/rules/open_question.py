"""A multiple-choice question turned open-ended: its options gone, the right one's text the reference."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import Any, NamedTuple

from verifiers.errors import BadInput
from verifiers.registry import load_verifier

MAX_LOOKED_AT = 20_000  # characters
_LINE = re.compile(
    r"^[ \t]*[(（\[]?(?P<letter>[A-J])[)）\].．、:：][ \t]*(?P<text>\S.*?)[ \t]*$", re.MULTILINE
)
_INLINE = re.compile(r"(?<![\w])[(（]?(?P<letter>[A-J])[)）.．、:：][ \t]*")
_SENTENCE = re.compile(r"[^.?!\n]+[.?!]?")
# In sentences that only make sense beside options.
_ABOUT_OPTIONS = re.compile(
    r"\b(?:(?:choose|select|pick|circle|mark)\b.{0,300}\b(?:option|answer|letter|choice|one|following|below)s?"
    r"|(?:answer|reply|respond)\b.{0,300}\b(?:letter|option)s?|options?\s*:|choices?\s*:|answer choices)",
    re.IGNORECASE,
)
_CHOICE_HEADER = re.compile(
    r"^\s*(?:options?|choices?|answer choices|选项)\s*[:：]?\s*$", re.IGNORECASE | re.MULTILINE
)
# What cannot be asked without showing the options.
_NEEDS_OPTIONS = re.compile(
    r"\b(?:which|what|who|where)\b[^?\n]{0,40}\b(?:of (?:these|those)\b|of the (?:options?|choices?|statements?)"
    r"|(?:following|below)\b)|\bof the following\b"
    r"|\bis (?:true|false|correct|incorrect|not true)\b|\bexcept\b|下列|以下|哪一?[个项]是?(?:正确|错误)",
    re.IGNORECASE,
)
_OF_OTHERS = re.compile(
    r"\b(?:all|none|both|neither|any|either)\b.*\b(?:above|these|options?|[A-J])\b|\bcannot be (?:determined|told)\b|"
    r"\bnot enough information\b|^(?:none|all|both|neither)$|以上",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"-?\d{1,12}(?:\.\d{1,9})?")
_MARKUP = re.compile(r"\\(?:text|textbf|mathrm|mathbf|left|right)(?![A-Za-z])")
_WORD = re.compile(
    r"\d+(?:[.,]\d+)*|[\u3040-\u30ff\u3400-\u9fff]|[^\W\d_\u3040-\u30ff\u3400-\u9fff]+"
    r"|[^\w\s$\\{}()\[\].,;:!?*\"'`~。，；：？！、．（）]"
)
_OF_A_PICTURE = re.compile(
    r"^\s*(?:(?:the\s+)?(?:image|picture|figure|graph|diagram|option)\s*[A-J\d]?|<image\s?\d*>)\s*$",
    re.IGNORECASE,
)


class OpenQuestion(NamedTuple):
    """What is asked instead: the text without options, the reference, and the verifier that reads it."""

    question: str
    reference: str
    verifier: str


def open_question(question: str, reference: Any) -> OpenQuestion | str:
    """The open-ended form; where there is none, the reason in a few words. ``reference`` is that of `choice`: a letter,
    or a mapping with ``answer`` and ``options``."""
    answer = reference.get("answer") if isinstance(reference, Mapping) else reference
    stem, options = split_options(question[:MAX_LOOKED_AT])
    if isinstance(reference, Mapping) and reference.get("options"):
        declared = _declared(reference["options"])
        if _in_words(options) != _in_words(declared):
            # What else begins with letters in the text, such as the sides of a figure, is part of what is asked.
            stem = question[:MAX_LOOKED_AT]
            if _shows(options, declared):
                return "its text has other options"
            if _num_held(stem, declared) == len(declared):
                return "the question names all options"
        options = declared
    letter = str(answer).strip().strip("()（）.").upper()
    if not options:
        return "no options found"
    if len(letter) != 1 or letter not in options:
        return "not one right option"
    right = options[letter].strip()
    if any(_OF_OTHERS.search(text) for text in options.values()):
        return "an option is about the others"
    if _OF_A_PICTURE.match(right):
        return "the options are pictures"
    if len({text.strip().casefold() for text in options.values()}) < len(options):
        return "two options say the same"
    stem = _SENTENCE.sub(lambda one: "" if _ABOUT_OPTIONS.search(one[0]) else one[0], stem)
    stem = _CHOICE_HEADER.sub("", stem)
    stem = re.sub(r"[ \t]+\n|\n{2,}", "\n", stem).strip()
    if len(stem) < 4:
        return "nothing is asked without the options"
    if _NEEDS_OPTIONS.search(stem):
        return "asks about the options"
    return OpenQuestion(stem, right, _verifier_of(right))


def split_options(question: str) -> tuple[str, dict[str, str]]:
    """The text before and after the options, and these by letter: A, B and so on without a gap, a line each or all in
    one line. Nothing where there are fewer than two.

    >>> split_options("How many?\\n(A) 3\\n(B) 5")
    ('How many?', {'A': '3', 'B': '5'})
    """
    lines = list(_LINE.finditer(question))
    if (run := _run_of([one["letter"] for one in lines])) is not None:
        found = lines[run[0] : run[1]]
        stem = question[: found[0].start()] + question[found[-1].end() :]
        # A line may hold several: "A. 3  B. 5".
        if not any(_INLINE.search(one["text"]) for one in found):
            return stem.strip(), {one["letter"]: one["text"] for one in found}
    marks = list(_INLINE.finditer(question))
    if (run := _run_of([one["letter"] for one in marks])) is None:
        return question, {}
    found = marks[run[0] : run[1]]
    ends = [one.start() for one in found[1:]]
    last = question.find("\n", found[-1].end())
    ends.append(len(question) if last < 0 else last)
    texts = [question[one.end() : end].strip().rstrip(",;") for one, end in zip(found, ends, strict=True)]
    stem = question[: found[0].start()] + question[ends[-1] :]
    return stem.strip(), {one["letter"]: text for one, text in zip(found, texts, strict=True)}


def _run_of(letters: Sequence[str]) -> tuple[int, int] | None:
    """Where A, B, C ... stand one after the other, the last such place; at least two of them."""
    for start in reversed([place for place, letter in enumerate(letters) if letter == "A"]):
        end = start
        while end < len(letters) and letters[end] == chr(ord("A") + end - start):
            end += 1
        if end - start >= 2:
            return start, end
    return None


def _declared(options: Any) -> dict[str, str]:
    """By letter, without the letters that stand before all of them."""
    named = options.items() if isinstance(options, Mapping) else zip(ascii_uppercase, options, strict=False)
    found = {str(letter): str(text) for letter, text in named}
    bare = {letter: _without_letter(letter, text) for letter, text in found.items()}
    return found if any(bare[letter] == text for letter, text in found.items()) else bare


def _without_letter(letter: str, text: str) -> str:
    return re.sub(rf"^\s*[(（\[]?{re.escape(letter)}[)）\].．、:：]\s*(?=\S)", "", text, flags=re.IGNORECASE)


def _in_words(options: Mapping[str, str]) -> dict[str, str]:
    return {letter: _words(text) for letter, text in options.items()}


def _shows(lettered: Mapping[str, str], declared: Mapping[str, str]) -> bool:
    """Whether what stands behind letters in the text is, in part, what is to choose from."""
    return any(_num_held(text, declared) for text in lettered.values())


def _num_held(text: str, options: Mapping[str, str]) -> int:
    """How many of the options stand in a text."""
    words = f" {_words(text)} "
    return sum(bool(option) and f" {option} " in words for option in _in_words(options).values())


def _words(text: str) -> str:
    """What is compared of a text: however it is spaced, capitalised, punctuated and marked up.

    >>> _words("A $3$cm  Line.")
    'a 3 cm line'
    """
    return " ".join(_WORD.findall(_MARKUP.sub(" ", text))).casefold()


def _verifier_of(reference: str) -> str:
    """`math` where it reads the reference and there is something to calculate, else `string`."""
    if not re.search(r"\d|\\[A-Za-z]|[=^√π°<>]", reference):
        return "string"
    if _NUMBER.fullmatch(reference):
        return "math"
    try:
        verdict = load_verifier("math").judge(reference, reference)
    except BadInput:
        return "string"
    return "math" if verdict.score == 1.0 else "string"
