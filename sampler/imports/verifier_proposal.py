"""What may judge the prompts of a source, by how its references look, and how many of them judge themselves right."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sampler.imports.answer_options import AnswerReading
from sampler.imports.pixel_boxes import regions_of
from sampler.prompt import Reference
from verifiers.files.dataset_check import ReferenceCheck

MOST = 0.95  # of the references that look alike, for a rule made for their look
ENOUGH = 0.9  # that a rule must take, or it is not proposed
MAX_WORDS = 8  # of a text that a rule compares; a longer one is prose

_LETTER = re.compile(r"\(?[A-J]\)?[.:]?")
_NUMBER = re.compile(r"[-+]?[$€£]?\s?\d[\d,]*(\.\d+)?\s?(%|°?[A-Za-z]{1,6}(\^?\d|²|³)?)?")
_MATHEMATICS = re.compile(r"[\\^=]|\$.+\$|\bpi\b|√|[\d)]\s?[+*/×·]\s?[\d(a-z]|\d[a-z]\b")
_BOX = re.compile(
    r"<bbox>|bbox_2d|<\|?box_start|<box>|\s*\[?\s*\[\s*[-\d.]+(\s*,\s*[-\d.]+){3}\s*\]", re.IGNORECASE
)
_POINT = re.compile(r"<points?\b|point_2d", re.IGNORECASE)

# By the look that nearly all references have: what judges them, the best first; none: a reward model.
_JUDGES: dict[str, tuple[str, ...]] = {
    "boxes": ("bbox_iou",),
    "points": ("point_distance",),
    "outlines": ("polygon_iou",),
    "option letters": ("choice",),
    "options with an answer": ("choice",),
    "numbers": ("number", "math"),
    "mathematics": ("math",),
    "words": ("string",),
    "lists of ten answers": ("vqa_soft",),
    "lists of texts": ("string",),
    "prose": (),
}


@dataclass(frozen=True)
class VerifierProposal:
    """What judges, None for a reward model; why; and how many of the references looked at it takes. ``answers`` are the
    ways in which answers name an option, one where they show it; none where they differ from row to row."""

    verifier: str | None
    why: str
    num_seen: int = 0
    num_fitting: int = 0
    pixel_boxes: bool = False  # which are turned into 0..999
    boxes: str | None = None  # what speaks for pixels and against them
    answers: tuple[AnswerReading, ...] = ()

    @property
    def kind(self) -> str:
        return "general" if self.verifier is None else "verifiable"


def look_of(reference: Reference) -> str:
    """What a reference looks like, a key of the table of judges, or "something else".

    >>> [look_of(one) for one in ("B", "3.5 cm", "[1, 2, 30, 40]", "a red kite", ["cat", "kitten"])]
    ['option letters', 'numbers', 'boxes', 'words', 'lists of texts']
    """
    if isinstance(reference, dict):
        if {"answer", "options"} <= reference.keys():
            return "options with an answer"
        return _region_look(reference) or "something else"
    if isinstance(reference, list):
        if all(isinstance(one, str) for one in reference):
            return "lists of ten answers" if len(reference) == 10 else "lists of texts"
        return _region_look(reference) or "something else"
    return _look_of_text(reference.strip())


def _look_of_text(text: str) -> str:
    if "<polygon>" in text.lower():
        return "outlines"
    if _BOX.search(text) or _POINT.search(text):
        return _region_look(text) or "prose"
    if _LETTER.fullmatch(text):
        return "option letters"
    if _NUMBER.fullmatch(text):
        return "numbers"
    num_words = len(text.split())
    if num_words <= 3 * MAX_WORDS and _MATHEMATICS.search(text):
        return "mathematics"
    return "words" if num_words <= MAX_WORDS else "prose"


def _region_look(reference: Reference) -> str | None:
    """A list of two numbers may be a point or a time span, so its look does not tell."""
    if isinstance(reference, list) and len(reference) == 2 and not isinstance(reference[0], list | dict):
        return None
    regions = regions_of(reference)
    return None if not regions else "boxes" if len(regions[0]) == 4 else "points"


def propose(references: Sequence[Reference], formats_verifier: str | None = None) -> VerifierProposal:
    """What may judge references like these. ``formats_verifier`` is what their format is judged by, and taken where it
    fits them as well as what their looks say."""
    looks = Counter(map(look_of, references))
    if not references:
        return VerifierProposal(None, "no reference was seen")
    top, num_top = looks.most_common(1)[0]
    shown = ", ".join(f"{count / len(references):.0%} {look}" for look, count in looks.most_common(3))
    if looks["prose"] >= len(references) / 2:
        return VerifierProposal(None, f"{shown}: a reward model judges", len(references))
    if num_top >= MOST * len(references):
        candidates = _JUDGES.get(top, ())
    elif (looks["numbers"] + looks["mathematics"]) >= MOST * len(references):
        candidates = ("math",)
    else:
        candidates = ("string",) if looks["words"] else ("math", "string")
    if formats_verifier is not None and top in ("numbers", "mathematics"):
        candidates = (formats_verifier, *candidates)
    for verifier in candidates:
        num_fitting = num_sound(verifier, references)
        if num_fitting >= ENOUGH * len(references):
            return VerifierProposal(verifier, shown, len(references), num_fitting)
    return VerifierProposal(None, f"{shown}: no rule takes them, so a reward model judges", len(references))


def num_sound(verifier: str, references: Sequence[Any]) -> int:
    """How many references are right by their own verifier."""
    check, sound = ReferenceCheck(), dict[str, bool]()
    for one in references:
        if (key := repr(one)) not in sound:
            sound[key] = check.problem(verifier, {}, one) is None
    return sum(sound[repr(one)] for one in references)
