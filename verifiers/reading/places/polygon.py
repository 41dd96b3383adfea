"""Polygons in a picture: reading them out of text, and how much two regions overlap."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, pairwise
from typing import Any, NamedTuple

from verifiers.errors import BadReference
from verifiers.reading.places.coordinates import (
    MAX_GROUPS,
    denied,
    final_statement,
    named_numbers,
    plain_numbers,
)
from verifiers.reading.places.point import Point
from verifiers.verifier import shown

Ring = tuple[Point, ...]  # its last vertex is joined to its first
MAX_VERTICES = 512  # of a region
MAX_COORDINATE = 1e6  # in any space; with the next, slopes stay within what a float can carry
MIN_EDGE_HEIGHT = 1e-9  # a lower edge is level
_TAG = re.compile(r"<(poly(?:gon)?)>([^<>]{0,10000})</\1>", re.IGNORECASE)
_KEYED = re.compile(
    r"[\"'](?:polygons?|segmentation|vertices|points)[\"']\s{0,5}:\s{0,5}(?=[\[(])", re.IGNORECASE
)
_GROUP = re.compile(r"[\[({]([^\[\](){}]{1,10000})[\])}]")
_WITHIN_RING = re.compile(r"\s{0,5}(?:,|;|->|→|\bto\b|\band\b)?\s{0,5}")
_BRACKETS = re.compile(r"[\[\](){}]")
_REFERENCE_KEYS = ("polygon", "polygons", "segmentation", "vertices", "points")


def written_polygons(text: str, *, tags_only: bool = False) -> list[Ring]:
    """Rings in the first of these forms that the text holds: `<polygon>x1 y1 x2 y2 x3 y3</polygon>` (or `<poly>`); a
    JSON key (`polygon`, `segmentation`, `points`); in the final statement `[[x, y], [x, y], ...]`, `(x, y), ...`
    or `[x1, y1, x2, y2, ...]`. A tag or a list without three points is a ring of none, which has no area.
    """
    if tagged := [match.group(2) for match in _TAG.finditer(text)]:
        return [_flat_ring(_BRACKETS.sub(" ", content)) or () for content in tagged]
    if tags_only:
        return []
    if keyed := [match.end() for match in _KEYED.finditer(text)][:MAX_VERTICES]:
        ends = [*keyed[1:], len(text)]
        return [ring for start, end in zip(keyed, ends, strict=True) for ring in _bracketed(text[start:end])]
    return final_statement(text, _bracketed)


def reference_polygons(reference: Any, kind: str) -> tuple[Ring, ...]:
    """The rings of a reference: text as `written_polygons` reads it, `[[x, y], ...]`, `[x1, y1, x2, y2, ...]`, lists of
    these (COCO's `segmentation`), or a mapping with one of the keys. Raises `BadReference`.
    """
    value = reference
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = written_polygons(value)
    if isinstance(value, Mapping):
        value = next((value[key] for key in _REFERENCE_KEYS if key in value), None)
    rings = tuple(_reference_rings(value, depth=3))
    num_vertices = sum(map(len, rings))
    if not rings or num_vertices > MAX_VERTICES or not all(map(proper, rings)):
        raise BadReference(
            f"a reference of {kind!r} is one or more polygons of at least 3 points, {MAX_VERTICES} together, got "
            f"{shown(repr(reference), 80)}"
        )
    if region_areas(rings, ())[1] <= 0:
        raise BadReference(f"a reference of {kind!r} has no area: {shown(repr(reference), 80)}")
    return rings


def proper(ring: Ring) -> bool:
    """At least three points, all of them finite and within a million."""
    return len(ring) > 2 and all(abs(value) < MAX_COORDINATE for point in ring for value in point)


class _Edge(NamedTuple):
    """From (x1, y1) up to height y2 > y1, of region 0 or 1; slope: x by y."""

    y1: float
    x1: float
    y2: float
    slope: float
    region: int

    def x_at(self, y: float) -> float:
        return self.x1 + self.slope * (y - self.y1)


def region_areas(a: Sequence[Ring], b: Sequence[Ring]) -> tuple[float, float]:
    """(area of the intersection, area of the union) of two regions.

    A region is what an odd number of its rings' windings hold (the even-odd rule of SVG and of filling in PIL), so a
    ring inside another is a hole, and a ring that crosses itself is the area that would be drawn. Between two
    neighbouring heights at which an edge ends or two edges cross, edges bound trapezoids; a trapezoid's area is its
    height times its width at half height, so the sum is exact but for rounding (plane sweep: Bentley & Ottmann 1979).
    """
    edges = sorted([*_edges(a, 0), *_edges(b, 1)])
    levels = {y for edge in edges for y in (edge.y1, edge.y2)} | set(_crossings(edges))
    shared = either = 0.0
    active: list[_Edge] = []
    coming = iter(edges)
    following = next(coming, None)
    for low, high in pairwise(sorted(levels)):
        middle = (low + high) / 2
        while following is not None and following.y1 < middle:
            active.append(following)
            following = next(coming, None)
        active = [edge for edge in active if edge.y2 > middle]
        inside = [False, False]
        for (x, region), (next_x, _) in pairwise(sorted((edge.x_at(middle), edge.region) for edge in active)):
            inside[region] = not inside[region]
            if inside[0] or inside[1]:
                area = (next_x - x) * (high - low)
                either += area
                shared += area if inside[0] and inside[1] else 0.0
    return shared, either


def _edges(rings: Sequence[Ring], region: int) -> Iterator[_Edge]:
    """Of all rings; a level edge bounds no trapezoid from a side."""
    for ring in rings:
        for (x1, y1), (x2, y2) in zip(ring, (*ring[1:], *ring[:1]), strict=True):
            if abs(y2 - y1) > MIN_EDGE_HEIGHT:
                (low, x), (high, _) = sorted(((y1, x1), (y2, x2)))
                yield _Edge(low, x, high, (x2 - x1) / (y2 - y1), region)


def _crossings(edges: Sequence[_Edge]) -> Iterator[float]:
    """The heights at which two edges cross; ``edges`` are sorted by their lower end."""
    for index, a in enumerate(edges):
        for b in edges[index + 1 :]:
            if b.y1 >= a.y2:
                break
            low, high = b.y1, min(a.y2, b.y2)
            before, after = a.x_at(low) - b.x_at(low), a.x_at(high) - b.x_at(high)
            if before * after < 0:
                yield low + (high - low) * before / (before - after)


def _flat_ring(text: str) -> Ring | None:
    numbers = plain_numbers(text, most=2 * MAX_VERTICES + 2)
    if numbers is None or len(numbers) < 6 or len(numbers) % 2:
        return None
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def _bracketed(text: str) -> list[Ring]:
    """Rings of points in brackets with nothing but a comma, an arrow or a word between them, and flat lists."""
    rings: list[list[Point]] = []
    refused, end = False, 0
    for match in islice(_GROUP.finditer(text), MAX_GROUPS):
        if not end or not _WITHIN_RING.fullmatch(text, end, match.start()):
            rings.append([])
            before = text[max(0, match.start() - 40) : match.start()].rstrip("[({")
            refused = denied(before, len(before))  # not [[1, 2], ...
        end = match.end()
        if refused:
            continue
        content = match.group(1)
        point = named_numbers(content) if len(content) < 200 else None
        point = point or plain_numbers(content)
        if point is not None and len(point) == 2:
            rings[-1].append((point[0], point[1]))
        elif flat := _flat_ring(content):
            rings += [list(flat), []]
    return [tuple(ring) for ring in rings if len(ring) > 2]


def _reference_rings(value: Any, depth: int) -> Iterator[Ring]:
    items = list(value) if isinstance(value, (list, tuple)) else []
    if len(items) >= 6 and len(items) % 2 == 0 and all(map(_is_number, items)):
        yield tuple(zip(map(float, items[::2]), map(float, items[1::2]), strict=True))
    elif items and all(
        isinstance(one, (list, tuple)) and len(one) == 2 and all(map(_is_number, one)) for one in items
    ):
        yield tuple((float(x), float(y)) for x, y in items)
    elif items and depth:
        for one in items:
            yield from _reference_rings(one, depth - 1)
    else:
        yield ()  # no polygon: refused


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and abs(value) < MAX_COORDINATE
