"""`bbox_iou`: boxes in a picture, scored by overlap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from verifiers.answer import FinalAnswer
from verifiers.errors import BadReference
from verifiers.reading.assignment import Several, best_assignment, matched_score
from verifiers.reading.final_line import MAX_ANSWER_CHARS
from verifiers.reading.places.box import Box, Space, giou, iou, reference_boxes, tagged_boxes, written_boxes
from verifiers.verdict import Verdict
from verifiers.verifier import Example, NoAnswer, Verifier, shown

_SPAN: dict[str, float] = {"norm1000": 999.0, "unit": 1.0}


@dataclass(frozen=True)
class BboxOptions:
    """format         `any`: `<bbox>x1 y1 x2 y2</bbox>`, box tokens, `bbox_2d` in JSON, `[x1, y1, x2, y2]`, `(x1, y1),
                   (x2, y2)`, `x1=...`, whichever of these stands first in this list; `tag`: only `<bbox>`
    measure        `iou`, or `giou` clipped to [0, 1]
    threshold      None: the overlap itself is the score; a number in (0, 1]: 1 where a pair reaches it, else 0
    several        what pairs are worth together: `max`: their sum / max(reference boxes, predicted boxes); `f1`:
                   2 * sum / (reference boxes + predicted boxes), F1 of the matched boxes
    answer_space   the space of the answers: `same` as the reference, `norm1000` (0..999), `unit` (0..1) or `pixel`
    max_ratio      with more than this many predicted boxes per reference box the score is 0
    """

    format: Literal["any", "tag"] = "any"
    measure: Literal["iou", "giou"] = "iou"
    threshold: float | None = None
    several: Several = "max"
    answer_space: Literal["same", "norm1000", "unit", "pixel"] = "same"
    max_ratio: float = 2.0

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise ValueError(f"threshold is in (0, 1], got {self.threshold}")
        if not 1 <= self.max_ratio <= 1000:
            raise ValueError(f"max_ratio is in [1, 1000], got {self.max_ratio}")


@dataclass(frozen=True)
class BoxTarget:
    """Reference boxes, already in the space of the answers."""

    boxes: tuple[Box, ...]


class BboxIouVerifier(Verifier[BoxTarget, tuple[Box, ...]]):
    """One reference box: its overlap with the answer's one box (two or more boxes score 0, unless `several: f1`).

    Several: boxes are paired one to one so that the sum of overlaps is largest, and
    `score = sum of paired overlaps / max(reference boxes, predicted boxes)`, so a missing and a superfluous
    box cost the same; with `several: f1` it is the F1 of soft hits, or with a threshold of hits. Area is continuous: a
    perfect box scores 1 in 0..999, 0..1 and pixels alike. A degenerate, inverted or NaN box overlaps nothing. Sources:
    Seed1.5-VL (arXiv 2505.07062) section 4, reward = IoU; Kimi K2.5 (arXiv 2602.02276), F1 with soft matching.
    """

    kind = "bbox_iou"
    mutations = ("off_by_one", "swap", "hedge")
    summary = "boxes scored by IoU or GIoU; several by optimal assignment, false positives paid for"
    Config = BboxOptions
    max_answer_chars = MAX_ANSWER_CHARS
    example = Example("<bbox>10 20 110 220</bbox>", "<bbox>10 20 110 220</bbox>")

    def prepare(self, reference: Any) -> BoxTarget:
        boxes, space, size = reference_boxes(reference, self.kind)
        wanted = self.config.answer_space
        if wanted != "same" and wanted != space:
            x, y = _scale(space, wanted, size, self.kind)
            boxes = [box.scaled(x, y) for box in boxes]
        return BoxTarget(tuple(boxes))

    def extract(self, answer: FinalAnswer) -> tuple[Box, ...] | NoAnswer:
        found = (written_boxes if self.config.format == "any" else tagged_boxes)(answer.text)
        if not found:
            return NoAnswer("no_box", "the answer holds no box in the accepted format")
        return tuple(box if box is not None else Box(0, 0, 0, 0) for box in found)

    def compare(self, prepared: BoxTarget, extracted: tuple[Box, ...]) -> Verdict:
        """The overlap of boxes paired one to one for the greatest sum; boxes too many cost, far too many score 0."""
        wanted, found = prepared.boxes, extracted
        text = shown("; ".join(" ".join(f"{v:g}" for v in box) for box in found[:16]))
        strict = len(wanted) == 1 and self.config.several == "max"
        allowed = 1 if strict else int(self.config.max_ratio * len(wanted))
        if len(found) > allowed:
            reason = f"{len(found)} boxes for {len(wanted)} wanted: at most {allowed} are allowed"
            return Verdict.scored(0.0, "too_many_boxes", reason, extracted=text, tier="structure")
        overlap = [[self._overlap(a, b) for b in found] for a in wanted]
        pairs = [overlap[i][j] for i, j in best_assignment(overlap)]
        score = matched_score(pairs, len(wanted), len(found), self.config.several)
        proper = sum(box.proper for box in found)
        return Verdict.scored(
            score,
            "overlap" if proper else "degenerate_box",
            f"{self.config.measure} {score:.3f} over {len(found)} of {len(wanted)} boxes",
            extracted=text,
            parts={"num_boxes": float(len(found)), "best": max(pairs, default=0.0)},
            tier="structure",
        )

    def _overlap(self, a: Box, b: Box) -> float:
        value = iou(a, b) if self.config.measure == "iou" else max(0.0, giou(a, b))
        if self.config.threshold is not None:
            return 1.0 if value >= self.config.threshold - 1e-12 else 0.0
        return value

    def reference_answers(self, reference: Any) -> list[str]:
        boxes = [[f"{v:.12g}" for v in box] for box in self.prepare(reference).boxes]
        answers = ["".join(f"<bbox>{' '.join(box)}</bbox>" for box in boxes)]
        if self.config.format == "any":
            answers.append(", ".join(f"[{', '.join(box)}]" for box in boxes))
        return answers


def _scale(space: Space, wanted: Space, size: tuple[float, float] | None, kind: str) -> tuple[float, float]:
    """Factors (x, y) that take coordinates from one space to another. Raises `BadReference`."""
    if "pixel" in (space, wanted) and size is None:
        raise BadReference(f"a {kind!r} reference needs image_size to go from {space} to {wanted}")
    width, height = size or (1.0, 1.0)
    before = (width, height) if space == "pixel" else (_SPAN[space],) * 2
    after = (width, height) if wanted == "pixel" else (_SPAN[wanted],) * 2
    return after[0] / before[0], after[1] / before[1]
