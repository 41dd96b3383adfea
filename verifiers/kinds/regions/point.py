"""`point_in_box`, `point_distance`, `temporal_iou`: pointing in pictures and in time."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from verifiers.answer import FinalAnswer
from verifiers.errors import BadReference
from verifiers.reading.assignment import Several, best_assignment, matched_score
from verifiers.reading.final_line import MAX_ANSWER_CHARS
from verifiers.reading.places.box import Box, reference_boxes
from verifiers.reading.places.point import Point, tagged_points, written_points
from verifiers.reading.places.time_span import time_spans
from verifiers.reading.share import share
from verifiers.verdict import Verdict
from verifiers.verifier import Example, NoAnswer, NoOptions, Verifier, shown

MAX_FOUND = 200
_ROW_KEYS = (("point_2d",), ("point",), ("x", "y"), ("start", "end"), ("start_time", "end_time"))


@dataclass(frozen=True)
class PointOptions:
    """format         `any`: `<point>x y</point>`, `<point x= y=>`, box tokens around a point, `point_2d` in JSON,
                   `(x, y)`, `[x, y]`, `click(x=..., y=...)`, whichever stands first in this list; `tag`: only tags
    percent        what one percent is worth in `<point x="61.5" y="40.2">`, as Molmo writes: attributes with a decimal
                   point and at most 100 are percent of the picture; 0 takes every attribute as it stands
    several        what pairs are worth together: `max`: their sum / max(wanted, found); `f1`: 2 sum / (wanted + found)
    """

    format: Literal["any", "tag"] = "any"
    percent: float = 10.0
    several: Several = "max"

    def __post_init__(self) -> None:
        if not 0 <= self.percent < math.inf:
            raise ValueError(f"percent is 0 or more, got {self.percent}")


def _best_score(weights: list[list[float]], several: Several = "max") -> float:
    """Of the best one-to-one matching; weights: [wanted, found]."""
    pairs = [weights[i][j] for i, j in best_assignment(weights)]
    return matched_score(pairs, len(weights), len(weights[0]), several)


class _PointVerifier(Verifier[tuple[Any, ...], tuple[Point | None, ...]]):
    max_answer_chars = MAX_ANSWER_CHARS

    def extract(self, answer: FinalAnswer) -> tuple[Point | None, ...] | NoAnswer:
        read = written_points if self.config.format == "any" else tagged_points
        found = read(answer.text, self.config.percent)
        if not found:
            return NoAnswer("no_point", "the answer holds no point in the accepted format")
        return tuple(found)

    def _judge_points(
        self, wanted: Sequence[Any], found: Sequence[Point | None], weight: Callable[[Any, Point], float]
    ) -> Verdict:
        text = shown("; ".join("?" if p is None else f"{p[0]:g} {p[1]:g}" for p in found[:16]))
        strict = len(wanted) == 1 and self.config.several == "max"
        if len(found) > (1 if strict else 2 * len(wanted)) or len(found) > MAX_FOUND:
            reason = f"{len(found)} points for {len(wanted)} wanted"
            return Verdict.scored(0.0, "too_many_points", reason, extracted=text, tier="structure")
        weights = [[0.0 if point is None else weight(item, point) for point in found] for item in wanted]
        score = _best_score(weights, self.config.several)
        reason = f"{len(found)} points for {len(wanted)} wanted score {score:.3f}"
        return Verdict.scored(score, "points", reason, extracted=text, tier="structure")


class PointInBoxVerifier(_PointVerifier):
    """A point scores 1 inside the reference box (edges included), else 0.

    Several boxes: points are paired one to one, score = hits / max(boxes, points). One box wants exactly one point.
    """

    kind = "point_in_box"
    mutations = ("hedge",)
    summary = "pointing: the point lies in the box"
    Config = PointOptions
    example = Example("<bbox>10 10 50 50</bbox>", "<point>30 30</point>")

    def prepare(self, reference: Any) -> tuple[Box, ...]:
        return tuple(reference_boxes(reference, self.kind)[0])

    def compare(self, prepared: tuple[Box, ...], extracted: tuple[Point | None, ...]) -> Verdict:
        return self._judge_points(prepared, extracted, lambda box, point: float(box.contains(*point)))

    def reference_answers(self, reference: Any) -> list[str]:
        centres = [((b.x1 + b.x2) / 2, (b.y1 + b.y2) / 2) for b in self.prepare(reference)]
        return ["".join(f"<point>{x:.12g} {y:.12g}</point>" for x, y in centres)]


@dataclass(frozen=True)
class DistanceOptions(PointOptions):
    """radius    in the units of the coordinates: where a linear score has fallen to 0; a Gaussian's standard deviation
    score     `linear`: 1 - distance / radius; `threshold`: 1 within the radius, else 0; `gaussian`:
              exp(-distance^2 / (2 radius^2)), which never loses its slope
    format, percent, several: see `PointOptions`
    """

    radius: float = 50.0
    score: Literal["linear", "threshold", "gaussian"] = "linear"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.radius < math.inf:
            raise ValueError(f"radius is positive, got {self.radius}")


class PointDistanceVerifier(_PointVerifier):
    """How near a point is: max(0, 1 - distance / radius), Euclidean; several points by optimal one-to-one pairing.

    With `score: gaussian, several: f1` it is the pointing reward of Kimi K2.5 (arXiv 2602.02276).
    Reference: text in any form that an answer may have, `[x, y]`, `{"point_2d": [x, y]}`, or a list of such.
    """

    kind = "point_distance"
    summary = "pointing: distance to the reference point"
    Config = DistanceOptions
    example = Example("<point>500 500</point>", "<point>500 500</point>")

    def prepare(self, reference: Any) -> tuple[Point, ...]:
        pairs = _number_pairs(
            reference, self.kind, lambda text: [list(p) if p else None for p in written_points(text)]
        )
        return tuple((a, b) for a, b in pairs)

    def compare(self, prepared: tuple[Point, ...], extracted: tuple[Point | None, ...]) -> Verdict:
        return self._judge_points(prepared, extracted, self._nearness)

    def _nearness(self, wanted: Point, found: Point) -> float:
        distance = math.dist(wanted, found)
        if self.config.score == "threshold":
            return float(distance <= self.config.radius)
        if self.config.score == "gaussian":
            return math.exp(-0.5 * min(distance / self.config.radius, 1e3) ** 2)
        return max(0.0, 1 - distance / self.config.radius)

    def reference_answers(self, reference: Any) -> list[str]:
        return ["".join(f"<point>{x:.12g} {y:.12g}</point>" for x, y in self.prepare(reference))]


class TemporalIouVerifier(Verifier[tuple[Point, ...], tuple[Point, ...]]):
    """Overlap of time spans: intersection / union in seconds; several spans by optimal pairing over max(counts).

    Reference: `[start, end]`, `{"start": ..., "end": ...}`, a list of such, or text (`12.5 - 20`, `00:12 to 00:20`).
    One reference span wants exactly one span. A span that ends before it starts overlaps nothing.
    """

    kind = "temporal_iou"
    summary = "video grounding: overlap of time spans in seconds"
    Config = NoOptions
    max_answer_chars = MAX_ANSWER_CHARS
    example = Example([12.5, 20.0], "from 12.5 to 20.0 seconds")

    def prepare(self, reference: Any) -> tuple[Point, ...]:
        spans = _number_pairs(reference, self.kind, lambda text: [list(span) for span in time_spans(text)])
        for start, end in spans:
            if not 0 <= start < end:
                raise BadReference(
                    f"a span of a 'temporal_iou' reference has 0 <= start < end, got [{start}, {end}]"
                )
        return tuple((start, end) for start, end in spans)

    def extract(self, answer: FinalAnswer) -> tuple[Point, ...] | NoAnswer:
        found = time_spans(answer.text[-20_000:])
        return tuple(found) if found else NoAnswer("no_span", "the answer holds no time span")

    def compare(self, prepared: tuple[Point, ...], extracted: tuple[Point, ...]) -> Verdict:
        text = shown("; ".join(f"{a:g}-{b:g}" for a, b in extracted[:16]))
        if len(extracted) > (1 if len(prepared) == 1 else 2 * len(prepared)) or len(extracted) > MAX_FOUND:
            reason = f"{len(extracted)} spans for {len(prepared)} wanted"
            return Verdict.scored(0.0, "too_many_spans", reason, extracted=text, tier="structure")
        weights = [[span_iou(a, b) for b in extracted] for a in prepared]
        score = _best_score(weights)
        reason = f"temporal IoU {score:.3f}"
        return Verdict.scored(score, "overlap", reason, extracted=text, tier="structure")

    def reference_answers(self, reference: Any) -> list[str]:
        spans = self.prepare(reference)
        return [
            "; ".join(f"{a:.12g} - {b:.12g}" for a, b in spans),
            "".join(f"<time>{a:.12g} {b:.12g}</time>" for a, b in spans),
        ]


def span_iou(a: Point, b: Point) -> float:
    """Intersection over union of two spans; 0 for a span without length."""
    if a[1] <= a[0] or b[1] <= b[0]:
        return 0.0
    shared = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    return share(shared, a[1] - a[0] + b[1] - b[0] - shared)


def _number_pairs(reference: Any, kind: str, from_text: Callable[[str], Any]) -> list[list[float]]:
    """A reference that is two numbers, a mapping of such, several, or text. Raises `BadReference`."""
    value = reference
    if isinstance(value, str):
        try:
            value = json.loads(reference)
        except (ValueError, RecursionError):
            value = from_text(reference)
    if isinstance(value, Mapping) or (
        isinstance(value, (list, tuple))
        and len(value) == 2
        and not isinstance(value[0], (list, tuple, Mapping))
    ):
        value = [value]
    rows = [_row(row) for row in value] if isinstance(value, (list, tuple)) else []
    good = [
        [float(n) for n in row]
        for row in rows
        if isinstance(row, (list, tuple))
        and len(row) == 2
        and all(type(n) in (int, float) and math.isfinite(n) and abs(n) < 1e9 for n in row)
    ]
    if not good or len(good) != len(rows):
        raise BadReference(
            f"a reference of {kind!r} is 2 numbers or a list of such, got {shown(repr(reference), 80)}"
        )
    return good


def _row(item: Any) -> Any:
    """The numbers of `{"point_2d": [x, y]}`, `{"x": x, "y": y}` or `{"start": s, "end": e}`; anything else as it is."""
    if not isinstance(item, Mapping):
        return item
    for keys in _ROW_KEYS:
        if set(keys) <= set(item):
            return item[keys[0]] if len(keys) == 1 else [item[key] for key in keys]
    return None
