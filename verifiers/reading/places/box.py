"""Boxes in a picture: reading them out of text, and how much two overlap."""

from __future__ import annotations

import json
import re
from typing import Any, Literal, NamedTuple

from verifiers.errors import BadReference
from verifiers.reading.places.coordinates import (
    Group,
    final_statement,
    number_groups,
    plain_numbers,
    unbracketed,
)
from verifiers.reading.share import share
from verifiers.verifier import shown

Space = Literal["norm1000", "unit", "pixel"]
_TAG = re.compile(r"<bbox>([^<>]{0,400})</bbox>", re.IGNORECASE)
_TOKENS = re.compile(
    r"<(?:\|box_start\||box|\|det\|)>([^<>]{0,2000})<(?:\|box_end\||/box|\|/det\|)>", re.IGNORECASE
)
_KEYED = re.compile(
    r"[\"'](?:bbox(?:_?2d)?|box(?:_?2d)?|bounding_?box)[\"']\s{0,5}:\s{0,5}([\[{][^\[\]{}]{0,400}[\]}])",
    re.IGNORECASE,
)
_BRACKETS = re.compile(r"[\[\](){}]")
_BETWEEN = re.compile(r"(?:(?!\bor\b)[^\d\[({]){1,40}", re.IGNORECASE)
_REFERENCE_KEYS = ("bbox_2d", "bbox", "box", "box_2d")


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
        return -1e9 < self.x1 < self.x2 < 1e9 and -1e9 < self.y1 < self.y2 < 1e9 and self.area > 0

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
    return share(shared, a.area + b.area - shared)


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


def written_boxes(text: str) -> list[Box | None]:
    """Boxes in the first of these forms that the text holds: `<bbox>`; box tokens (`<box>`, `<|det|>`, Qwen2-VL's
    `<|box_start|>(1,2),(3,4)<|box_end|>`); the JSON key `bbox_2d` and its like (Qwen2.5-VL); brackets or names in the
    final statement: `[1, 2, 3, 4]`, `(1, 2), (3, 4)`, `x1=1, y1=2, x2=3, y2=4`. None stands for a tag without a box.
    """
    if found := tagged_boxes(text):
        return found
    for wrapper in (_TOKENS, _KEYED):
        if contents := [match.group(1) for match in wrapper.finditer(text)]:
            return [box for content in contents for box in _bracketed(content) or [_four_numbers(content)]]
    return final_statement(text, _bracketed)


def _bracketed(text: str) -> list[Box | None]:
    """Boxes of four numbers in a bracket, or of two corners of two numbers each with no digit between them."""
    found: list[Box | None] = []
    corner: Group | None = None
    for group in number_groups(text):
        joined = corner is not None and _BETWEEN.fullmatch(text[corner.end : group.start])
        if len(group.numbers) == 4:
            found.append(Box(*group.numbers))
            corner = None
        elif len(group.numbers) == 2 and corner is not None and joined:
            found.append(Box(*(*corner.numbers, *group.numbers)))
            corner = None
        else:
            corner = group if len(group.numbers) == 2 else None
    numbers = None if found else unbracketed(text)
    return [Box(*numbers)] if numbers is not None and len(numbers) == 4 else found


def _four_numbers(text: str) -> Box | None:
    numbers = plain_numbers(_BRACKETS.sub(" ", text))
    return Box(*numbers) if numbers is not None and len(numbers) == 4 else None


def reference_boxes(reference: Any, kind: str) -> tuple[list[Box], Space, tuple[float, float] | None]:
    """(boxes, space, image size) of a reference.

    A reference is text in any form that `written_boxes` reads, four numbers, `{"bbox_2d": [...]}`, a list of such, JSON
    text of these, or a mapping `{"boxes": ..., "space": "norm1000" | "unit" | "pixel", "image_size": [width, height]}`.
    Without a declared space, numbers are taken as they stand, in the space the answers use. Raises `BadReference`.
    """
    space: Space = "norm1000"
    size: tuple[float, float] | None = None
    value = _parsed(reference)
    if isinstance(value, dict) and not set(value) & set(_REFERENCE_KEYS):
        extra = set(value) - {"boxes", "space", "image_size"}
        if extra or "boxes" not in value:
            raise BadReference(
                f"a reference of {kind!r} has keys boxes, space, image_size; got {sorted(map(str, value))}"
            )
        space = value.get("space", "norm1000")
        if space not in ("norm1000", "unit", "pixel"):
            raise BadReference(f"a reference of {kind!r} has space norm1000, unit or pixel; got {space!r}")
        size = _size(value.get("image_size"), kind)
        value = _parsed(value["boxes"])
    if isinstance(value, dict) or (
        isinstance(value, (list, tuple)) and len(value) == 4 and not isinstance(value[0], (list, tuple, dict))
    ):
        value = [value]
    if not isinstance(value, (list, tuple)) or not value:
        raise BadReference(f"a reference of {kind!r} holds no box: {shown(repr(reference), 80)}")
    return [_reference_box(item, kind) for item in value], space, size


def _parsed(reference: Any) -> Any:
    """JSON text as what it holds, other text as the boxes in it, anything else as it is."""
    if not isinstance(reference, str):
        return reference
    try:
        return json.loads(reference)
    except (ValueError, RecursionError):
        return [list(box) if box is not None else None for box in written_boxes(reference)]


def _reference_box(item: Any, kind: str) -> Box:
    if isinstance(item, dict):
        item = next((item[key] for key in _REFERENCE_KEYS if key in item), None)
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
