"""`spot_difference`: differences between two pictures, each with a text and a box."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from verifiers.answer import FinalAnswer
from verifiers.errors import BadReference
from verifiers.kinds.text_overlap import edit_ratio
from verifiers.reading.assignment import best_assignment
from verifiers.reading.final_line import MAX_ANSWER_CHARS
from verifiers.reading.places.box import Box, iou, reference_boxes, tagged_boxes
from verifiers.reading.plain_text import normalise
from verifiers.reading.share import share
from verifiers.verdict import Verdict
from verifiers.verifier import Example, NoAnswer, Verifier, shown

_TAG = re.compile(r"<bbox>([^<>]{0,400})</bbox>", re.IGNORECASE)
MAX_FOUND = 60
MAX_TEXT = 500


@dataclass(frozen=True)
class SpotOptions:
    """text_weight    share of the text in a pair's score, the box has the rest
    min_iou        a pair whose boxes overlap less scores 0, text included
    """

    text_weight: float = 0.5
    min_iou: float = 0.1

    def __post_init__(self) -> None:
        if not (0 <= self.text_weight <= 1 and 0 <= self.min_iou <= 1):
            raise ValueError("text_weight and min_iou are in [0, 1]")


@dataclass(frozen=True)
class Difference:
    """What differs, in words, and where."""

    text: str
    box: Box


class SpotDifferenceVerifier(Verifier[tuple[Difference, ...], tuple[Difference, ...]]):
    """pair score = text_weight * edit similarity + (1 - text_weight) * IoU, or 0 when the boxes hardly touch;
    score = sum over the best one-to-one pairing / max(reference, answer) differences.

    Reference: a list of `{"text": ..., "box": [x1, y1, x2, y2]}`, or lines of `text <bbox>x1 y1 x2
    y2</bbox>`; an answer is
    such lines. A reference text may be a list of accepted texts joined by `|`.
    """

    kind = "spot_difference"
    imports = ("rapidfuzz.distance",)
    mutations = ("off_by_one", "swap", "hedge")
    summary = "differences between pictures: text and box, paired one to one"
    Config = SpotOptions
    max_answer_chars = MAX_ANSWER_CHARS
    example = Example([{"text": "red hat", "box": [10, 10, 60, 60]}], "red hat <bbox>10 10 60 60</bbox>")

    def prepare(self, reference: Any) -> tuple[Difference, ...]:
        """The differences, each a text and a box, out of such lines, their JSON or a list. Raises: BadReference."""
        if isinstance(reference, str):
            found = _differences(reference)
            if not found:
                try:
                    reference = json.loads(reference)
                except (ValueError, RecursionError):
                    raise BadReference(
                        "a reference of 'spot_difference' holds no text with a <bbox>"
                    ) from None
            else:
                reference = [{"text": d.text, "box": list(d.box)} for d in found]
        if not isinstance(reference, (list, tuple)) or not reference:
            raise BadReference("a reference of 'spot_difference' is a list of {text, box}")
        result = []
        for item in reference:
            if not isinstance(item, Mapping) or set(item) != {"text", "box"} or not str(item["text"]).strip():
                raise BadReference(f"a difference has keys text and box, got {shown(repr(item), 60)}")
            box = reference_boxes(item["box"], self.kind)[0][0]
            if not all(map(normalise, str(item["text"])[:MAX_TEXT].split("|"))):
                raise BadReference(f"an accepted text of a difference is empty: {shown(repr(item), 60)}")
            result.append(Difference(str(item["text"])[:MAX_TEXT], box))
        return tuple(result)

    def extract(self, answer: FinalAnswer) -> tuple[Difference, ...] | NoAnswer:
        found = _differences(answer.text[-100_000:])
        return tuple(found) if found else NoAnswer("no_difference", "the answer holds no text with a <bbox>")

    def compare(self, prepared: tuple[Difference, ...], extracted: tuple[Difference, ...]) -> Verdict:
        text = shown("; ".join(d.text for d in extracted[:8]))
        if len(extracted) > min(MAX_FOUND, 2 * len(prepared) + 1):
            reason = f"{len(extracted)} differences for {len(prepared)} wanted"
            return Verdict.scored(0.0, "too_many_boxes", reason, extracted=text, tier="structure")
        weights = [[self._pair(a, b) for b in extracted] for a in prepared]
        total = sum(weights[i][j] for i, j in best_assignment(weights))
        score = share(total, max(len(prepared), len(extracted)))
        reason = f"{len(extracted)} differences for {len(prepared)} wanted score {score:.3f}"
        return Verdict.scored(score, "overlap", reason, extracted=text, tier="structure")

    def _pair(self, wanted: Difference, found: Difference) -> float:
        overlap = iou(wanted.box, found.box)
        if overlap < max(self.config.min_iou, 1e-9):
            return 0.0
        words = normalise(found.text)
        likeness = max(edit_ratio(normalise(text), words) for text in wanted.text.split("|"))
        return float(self.config.text_weight * likeness + (1 - self.config.text_weight) * overlap)

    def reference_answers(self, reference: Any) -> list[str]:
        lines = [
            f"{d.text.split('|')[0].strip()} <bbox>{' '.join(f'{v:.12g}' for v in d.box)}</bbox>"
            for d in self.prepare(reference)
        ]
        return ["\n".join(lines)]


def _differences(text: str) -> list[Difference]:
    """Each box with the text before it on its line; list marks and numbers in front are dropped."""
    found = []
    end = 0
    for match in _TAG.finditer(text):
        box = tagged_boxes(match.group())[0]
        before = text[max(end, match.start() - 2_000) : match.start()]
        end = match.end()
        words = re.sub(r"^\s*(?:[-*•]|\d{1,3}[.)])\s*", "", before.strip().rsplit("\n", 1)[-1])
        found.append(Difference(words.strip(" :,;-")[:MAX_TEXT], box if box is not None else Box(0, 0, 0, 0)))
    return found
