"""`polygon_iou`: an outline in a picture, scored by overlap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from verifiers.answer import FinalAnswer
from verifiers.reading.final_line import MAX_ANSWER_CHARS
from verifiers.reading.places.polygon import Ring, proper, reference_polygons, region_areas, written_polygons
from verifiers.reading.share import share
from verifiers.verdict import Verdict
from verifiers.verifier import Example, NoAnswer, Verifier

MAX_FOUND = 80  # vertices of an answer: what crosses itself at every turn is judged in half a second


@dataclass(frozen=True)
class PolygonOptions:
    """format       `any`: `<polygon>x1 y1 x2 y2 x3 y3</polygon>`, the keys `polygon`, `segmentation` and `points` in
                 JSON, `[[x, y], ...]`, `(x, y), ...`, `[x1, y1, ...]`, whichever stands first in this list; `tag`: only
                 `<polygon>`
    threshold    None: the overlap itself is the score; a number in (0, 1]: 1 where it is reached, else 0
    """

    format: Literal["any", "tag"] = "any"
    threshold: float | None = None

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise ValueError(f"threshold is in (0, 1], got {self.threshold}")


class PolygonIouVerifier(Verifier[tuple[Ring, ...], tuple[Ring, ...]]):
    """Area of the intersection / area of the union, of the region that all the answer's polygons outline together and
    the reference's; a ring inside another is a hole, and one that crosses itself counts by the even-odd rule.

    Coordinates are compared as they stand. An answer without area scores 0. Source: the polygon IoU of Kimi K2.5 (arXiv
    2602.02276).
    """

    kind = "polygon_iou"
    mutations = ("off_by_one", "swap", "hedge")
    summary = "outlines of a region, scored by IoU; holes and several parts allowed"
    Config = PolygonOptions
    max_answer_chars = MAX_ANSWER_CHARS
    example = Example([[10, 10], [110, 10], [60, 110]], "<polygon>10 10 110 10 60 110</polygon>")

    def prepare(self, reference: Any) -> tuple[Ring, ...]:
        return reference_polygons(reference, self.kind)

    def extract(self, answer: FinalAnswer) -> tuple[Ring, ...] | NoAnswer:
        rings = written_polygons(answer.text, tags_only=self.config.format == "tag")
        if not rings:
            return NoAnswer("no_polygon", "the answer holds no polygon in the accepted format")
        num_vertices = sum(map(len, rings))
        if num_vertices > MAX_FOUND:
            return NoAnswer("limit", f"the answer has more than {MAX_FOUND} vertices", limit=True)
        return tuple(rings)

    def compare(self, prepared: tuple[Ring, ...], extracted: tuple[Ring, ...]) -> Verdict:
        """IoU of all polygons together on either side, or 1 from the threshold on; a degenerate one makes it 0."""
        text = f"{len(extracted)} polygons of {sum(map(len, extracted))} vertices"
        sound = all(map(proper, extracted))
        shared, either = region_areas(prepared, extracted) if sound else (0.0, 1.0)
        overlap = share(shared, either)
        score = overlap
        if self.config.threshold is not None:
            score = float(overlap >= self.config.threshold - 1e-12)
        return Verdict.scored(
            score,
            "overlap" if sound else "degenerate_polygon",
            f"IoU {overlap:.3f}",
            extracted=text,
            parts={"iou": overlap},
            tier="structure",
        )

    def reference_answers(self, reference: Any) -> list[str]:
        rings = [[f"{v:.12g}" for point in ring for v in point] for ring in self.prepare(reference)]
        answers = ["".join(f"<polygon>{' '.join(ring)}</polygon>" for ring in rings)]
        if self.config.format == "any":
            lists = [", ".join(f"[{x}, {y}]" for x, y in zip(r[::2], r[1::2], strict=True)) for r in rings]
            answers.append(", ".join(f"[{points}]" for points in lists))
        return answers
