"""Boxes and points in pixels of their picture, told from those in 0..999, and turned into them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from sampler.prompt import Reference
from sampler.vision_input import VisionInput
from verifiers.errors import BadInput, BadReference
from verifiers.kinds.regions.point import PointDistanceVerifier
from verifiers.reading.box import reference_boxes

SPAN = 999.0
CHANCE = 1e-4  # that boxes in 0..999 all fit their smaller pictures: less is taken for pixels
Region = tuple[float, ...]  # x1, y1, x2, y2 of a box; x, y of a point


def regions_of(reference: Reference, verifier: str | None = None) -> list[Region] | None:
    """The boxes or points that a reference holds, as it writes them; None where it holds neither, or says itself what
    space they are in."""
    if isinstance(reference, dict) and "boxes" in reference:
        return None
    if verifier in (None, "bbox_iou", "point_in_box"):
        try:
            return [tuple(box) for box in reference_boxes(reference, "bbox_iou")[0]]
        except BadReference:
            pass
    if verifier in (None, "point_distance"):
        try:
            return list(PointDistanceVerifier().prepare(reference))
        except BadReference:
            pass
    return None


def fits(region: Region, size: tuple[int, int]) -> bool:
    """Whether a region in pixels lies in its picture of (width, height)."""
    return all(0 <= value <= size[at % 2] for at, value in enumerate(region))


def looks_like_pixels(found: Iterable[tuple[Sequence[Region], tuple[int, int]]]) -> bool:
    """Whether regions are in pixels: all lie in their pictures of (width, height), and were they in 0..999, their right
    and lower ends would hardly do so (independent and uniform, width/999 x height/999 each) or not at all."""
    log_chance, beyond = 0.0, False
    for regions, size in found:
        for region in regions:
            if not fits(region, size):
                return False
            beyond |= max(region) > SPAN + 1
            log_chance += sum(math.log(min(1.0, side / SPAN)) for side in size)
    return beyond or log_chance < math.log(CHANCE)


def in_thousandths(regions: Sequence[Region], image: VisionInput) -> list[Any]:
    """Regions in pixels as lists of numbers in 0..999 of the picture's width and height. Raises `BadInput` for one that
    lies outside."""
    size = image.image_size()
    for region in regions:
        if not fits(region, size):
            shown = " ".join(f"{value:g}" for value in region)
            raise BadInput(f"{shown} lies outside the picture of {size[0]} x {size[1]} pixels")
    return [[round(v * SPAN / size[at % 2], 1) for at, v in enumerate(region)] for region in regions]
