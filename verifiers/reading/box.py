"""Boxes in a picture: reading them out of text, and how much two overlap."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Literal, NamedTuple

from verifiers.errors import BadReference
from verifiers.verifier import shown

Space = Literal["norm1000", "unit", "pixel"]
_NUMBER = r"[-+]?(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})(?:[eE][-+]?\d{1,3})?"
_TAG = re.compile(r"<bbox>([^<>]{0,400})</bbox>", re.IGNORECASE)
_FOUR = re.compile(
    r"[\[(]?\s*" + r"\s*[,\s)(]{1,8}\s*".join(f"({_NUMBER})" for _ in range(4)) + r"\s*[\])]?", re.ASCII
)
_BRACKETED = re.compile(r"\[([^\[\]]{0,400})\]|\(([^()]{0,100})\)\s*,?\s*\(([^()]{0,100})\)")


class Box(NamedTuple):
    """x1, y1 (top left) and x2, y2 (bottom right), in any one space; area is continuous: (x2-x1) * (y2-y1)."""

    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def area(self) -> float:
        """0 where the box is inverted."""
        return max(0.0, self.x2 - self.x1) * max(0.0, self.y2 - self.y1)

    @property
    def proper(self) -> bool:
        """Finite, not inverted, and with an area."""
        finite = all(map(math.isfinite, self)) and max(map(abs, self)) < 1e9
        return finite and self.x2 > self.x1 and self.y2 > self.y1

    def scaled(self, x: float, y: float) -> Box:
        """Coordinates times x and y."""
        return Box(self.x1 * x, self.y1 * y, self.x2 * x, self.y2 * y)

    def contains(self, x: float, y: float) -> bool:
        """Edges included."""
        return self.x1 <= x <= self.x2 and self.y1 <= y <= self.y2


def iou(a: Box, b: Box) -> float:
    """Intersection over union, in [0, 1]; 0 when either box is not proper."""
    if not (a.proper and b.proper):
        return 0.0
    shared = _intersection(a, b)
    union = a.area + b.area - shared
    return min(1.0, shared / union) if union > 0 else 0.0


def giou(a: Box, b: Box) -> float:
    """Generalised IoU (Rezatofighi et al. 2019), in [-1, 1]; -1 when either box is not proper."""
    if not (a.proper and b.proper):
        return -1.0
    shared = _intersection(a, b)
    union = a.area + b.area - shared
    hull = Box(min(a.x1, b.x1), min(a.y1, b.y1), max(a.x2, b.x2), max(a.y2, b.y2)).area
    return shared / union - (hull - union) / hull


def _intersection(a: Box, b: Box) -> float:
    return Box(max(a.x1, b.x1), max(a.y1, b.y1), min(a.x2, b.x2), min(a.y2, b.y2)).area


def tagged_boxes(text: str) -> list[Box | None]:
    """Every `<bbox>x1 y1 x2 y2</bbox>` (spaces or commas between); None for a tag that holds no four numbers."""
    return [_four_numbers(content) for content in _TAG.findall(text)]


def bracketed_boxes(text: str) -> list[Box | None]:
    """Boxes written `[x1, y1, x2, y2]` or `(x1, y1), (x2, y2)`; brackets that hold no four numbers are not boxes."""
    found: list[Box | None] = []
    for match in _BRACKETED.finditer(text):
        content = match.group(1) if match.group(1) is not None else f"{match.group(2)}, {match.group(3)}"
        if (box := _four_numbers(content)) is not None:
            found.append(box)
    return found


def _four_numbers(text: str) -> Box | None:
    match = _FOUR.fullmatch(" ".join(text.split()))
    return Box(*(float(number) for number in match.groups())) if match else None


def reference_boxes(reference: Any, kind: str) -> tuple[list[Box], Space, tuple[float, float] | None]:
    """(boxes, space, image size) of a reference.

    A reference is `<bbox>` text, four numbers, a list of fours, JSON text of these, or a mapping
    `{"boxes": ..., "space": "norm1000" | "unit" | "pixel", "image_size": [width, height]}`. Without a declared
    space, numbers are taken as they stand, in the space the answers use. Raises `BadReference`.
    """
    space: Space = "norm1000"
    size: tuple[float, float] | None = None
    value = reference
    if isinstance(value, str):
        tagged = tagged_boxes(value)
        value = [list(b) if b is not None else None for b in tagged] if tagged else _json(value, kind)
    if isinstance(value, dict):
        extra = set(value) - {"boxes", "space", "image_size"}
        if extra or "boxes" not in value:
            raise BadReference(
                f"a reference of {kind!r} has keys boxes, space, image_size; got {sorted(value)}"
            )
        if value.get("space", "norm1000") not in ("norm1000", "unit", "pixel"):
            raise BadReference(
                f"a reference of {kind!r} has space norm1000, unit or pixel; got {value['space']!r}"
            )
        space = value.get("space", "norm1000")
        size = _size(value.get("image_size"), kind)
        value = value["boxes"]
        if isinstance(value, str):
            value = [list(b) if b is not None else None for b in tagged_boxes(value)]
    if isinstance(value, (list, tuple)) and len(value) == 4 and not isinstance(value[0], (list, tuple)):
        value = [value]
    if not isinstance(value, (list, tuple)) or not value:
        raise BadReference(f"a reference of {kind!r} holds no box: {shown(repr(reference), 80)}")
    return [_reference_box(item, kind) for item in value], space, size


def _reference_box(item: Any, kind: str) -> Box:
    numbers = item if isinstance(item, (list, tuple)) else ()
    if len(numbers) != 4 or any(isinstance(n, bool) or not isinstance(n, (int, float)) for n in numbers):
        raise BadReference(f"a box of a {kind!r} reference is four numbers, got {shown(repr(item), 60)}")
    box = Box(*map(float, numbers))
    if not box.proper:
        raise BadReference(f"a box of a {kind!r} reference needs finite x1 < x2 and y1 < y2, got {list(box)}")
    return box


def _size(value: Any, kind: str) -> tuple[float, float] | None:
    if value is None:
        return None
    numbers = [v for v in value if type(v) in (int, float)] if isinstance(value, (list, tuple)) else []
    if len(numbers) == len(value or ()) == 2 and all(0 < v < 1e9 for v in numbers):
        return float(numbers[0]), float(numbers[1])
    raise BadReference(f"image_size of a {kind!r} reference is [width, height] in pixels, got {value!r}")


def _json(text: str, kind: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise BadReference(f"a reference of {kind!r} holds no box: {shown(text, 80)!r}") from None
