"""Places in pictures and times in films that a reference or an answer names, and how well the two agree."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from verifiers.answer import FinalAnswer
from verifiers.errors import HoneError
from verifiers.reading.places.box import Box, iou, reference_boxes, tagged_boxes
from verifiers.reading.places.point import Point, tagged_points
from verifiers.reading.places.polygon import Ring, proper, region_areas, written_polygons
from verifiers.verifier import LimitExceeded

Shape = Literal["box", "point", "outline"]
MAX_SHOWN = 60  # places of one answer
MAX_ANSWER_CHARS = 20_000
_KINDS = ("bbox_iou", "point_in_box", "point_distance", "polygon_iou", "spot_difference", "temporal_iou")


@dataclass(frozen=True)
class Place:
    """``corners`` are in fractions of the picture's width and height: of a point one, of a box two, of an outline three
    or more. ``words`` say how it agrees with the reference: "IoU 0.73"."""

    shape: Shape
    corners: tuple[Point, ...]
    words: str = ""


@dataclass(frozen=True)
class TimeSpan:
    """Seconds of a film."""

    start: float
    end: float
    words: str = ""


@dataclass(frozen=True)
class Places:
    """Everything that one text names."""

    places: tuple[Place, ...] = ()
    spans: tuple[TimeSpan, ...] = ()


@dataclass(frozen=True)
class PlaceReader:
    """Of one prompt, by the verifier that judges it: what it reads is what is drawn. Of other verifiers only tags
    (``<bbox>``, ``<point>``, ``<polygon>``) are places, so that no number is taken for one. Never raises."""

    verifier: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    reference: Any = None

    @cached_property
    def of_reference(self) -> Places:
        """Of the prompt's reference."""
        return self._read(self._wanted, [])

    def of_answer(self, text: str) -> Places:
        """Of a final answer; each with how it agrees with the nearest of the reference."""
        if len(text) > MAX_ANSWER_CHARS:
            return Places()
        return self._read(self._found(text), self._wanted)

    @cached_property
    def _judge(self) -> Any:
        """Only a built-in verifier: a prompt set may name any module, and reading one must not import it."""
        from verifiers.registry import load_verifier

        if self.verifier not in _KINDS:
            return None
        try:
            return load_verifier(self.verifier, self.options)
        except (HoneError, ValueError, TypeError):
            return None

    @cached_property
    def _wanted(self) -> list[Any]:
        if self._judge is None:
            return _tagged(self.reference) if isinstance(self.reference, str) else []
        try:
            return _shapes(self._judge.prepare(self.reference))
        except (HoneError, ValueError, TypeError):
            return []

    def _found(self, text: str) -> list[Any]:
        if self._judge is None:
            return _tagged(text)
        try:
            extracted = self._judge.extract(FinalAnswer(text))
        except (HoneError, ValueError, TypeError, LimitExceeded):
            return []
        return _shapes(extracted) if isinstance(extracted, tuple) else []

    @cached_property
    def _side(self) -> tuple[float, float]:
        """What a coordinate at the right and at the lower edge is, in the space that answers use; pixels without a size
        cannot be placed, which is an edge of nothing."""
        try:
            _, space, size = reference_boxes(self.reference, self.verifier)
        except (HoneError, ValueError, TypeError):
            space, size = "norm1000", None
        wanted = str(self.options.get("answer_space") or "same")
        space_of_answers = space if wanted == "same" else wanted
        if space_of_answers == "pixel":
            return size or (math.nan, math.nan)
        return (1.0, 1.0) if space_of_answers == "unit" else (999.0, 999.0)

    def _read(self, shapes: list[Any], wanted: list[Any]) -> Places:
        """``shapes`` with how each agrees with ``wanted``; of references, which agree with nothing, without words."""
        if self.verifier == "temporal_iou" and self._judge is not None:
            spans = [
                TimeSpan(one[0], one[1], _span_words(one, wanted)) for one in shapes if _are_numbers(one)
            ]
            return Places((), tuple(spans[:MAX_SHOWN]))
        found = (self._place(one, _agreement(one, shapes, wanted)) for one in shapes[:MAX_SHOWN])
        return Places(tuple(place for place in found if place is not None))

    def _place(self, shape: Any, words: str) -> Place | None:
        corners = _corners(shape)
        width, height = self._side
        placed = tuple((_inside(x / width), _inside(y / height)) for x, y in corners)
        if not placed or not all(_are_numbers(corner) for corner in placed):
            return None
        name: Shape = "point" if len(placed) == 1 else "box" if len(placed) == 2 else "outline"
        return Place(name, placed, words)


def _tagged(text: str) -> list[Any]:
    found = [*tagged_boxes(text), *tagged_points(text), *written_polygons(text, tags_only=True)]
    return [one for one in found if one]


def _shapes(read: Any) -> list[Any]:
    """Boxes, points, rings or spans out of what a verifier prepared or extracted."""
    items: Iterable[Any] = getattr(read, "boxes", read)
    return [getattr(one, "box", one) for one in items if one]


def _corners(shape: Any) -> tuple[Point, ...]:
    if isinstance(shape, Box):
        return ((shape.x1, shape.y1), (shape.x2, shape.y2)) if shape.proper else ()
    if len(shape) == 2 and all(isinstance(number, (int, float)) for number in shape):
        return (shape,)
    return tuple(shape) if len(shape) >= 3 else ()


def _agreement(shape: Any, shapes: list[Any], wanted: list[Any]) -> str:
    """With the nearest of the reference; outlines are one region, as their verifier has it."""
    boxes = [one for one in wanted if isinstance(one, Box)]
    rings: list[Ring] = [one for one in wanted if not isinstance(one, Box) and len(one) > 2]
    points: list[Point] = [one for one in wanted if not isinstance(one, Box) and len(one) == 2]
    if isinstance(shape, Box):
        return f"IoU {max(iou(shape, box) for box in boxes):.2f}" if boxes else ""
    if len(shape) > 2:
        outlines = [one for one in shapes if not isinstance(one, Box) and len(one) > 2]
        if not rings or not all(map(proper, [*rings, *outlines])):
            return ""
        shared, either = region_areas(rings, outlines)
        return f"IoU {min(1.0, shared / either):.2f}"
    if boxes:
        return "inside" if any(box.contains(*shape) for box in boxes) else "outside"
    return f"{min(math.dist(shape, point) for point in points):.0f} away" if points else ""


def _span_words(span: Any, wanted: list[Any]) -> str:
    from verifiers.kinds.regions.point import span_iou

    return f"IoU {max(span_iou(span, one) for one in wanted):.2f}" if wanted else ""


def _inside(fraction: float) -> float:
    """What lies outside of the picture is drawn at its edge."""
    return min(max(fraction, 0.0), 1.0) if math.isfinite(fraction) else fraction


def _are_numbers(pair: Iterable[float]) -> bool:
    return all(math.isfinite(number) for number in pair)
