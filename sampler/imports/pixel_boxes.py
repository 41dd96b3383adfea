"""Boxes and points in pixels of their picture, told from those in 0..999, and turned into them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sampler.prompt import Reference
from sampler.vision_input import VisionInput
from verifiers.errors import BadInput, BadReference
from verifiers.kinds.regions.point import PointDistanceVerifier
from verifiers.reading.places.box import reference_boxes

SPAN = 999.0
CHANCE = 1e-4  # that boxes in 0..999 all fit their smaller pictures: less is taken for pixels
STRAY_FRAC = 0.01  # of a source's regions, which decide nothing
OVERSHOOT = 2  # pixels by which annotators go over the edge
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


class PixelEvidence(NamedTuple):
    """Of regions with their pictures' sizes: how many there are, how many of them were no pixels of their pictures, how
    many reach beyond 999, and what nearly all of them say."""

    num: int
    num_outside: int
    num_beyond: int
    are_pixels: bool

    @property
    def words(self) -> str:
        """What speaks for pixels and against them."""
        if not self.num:
            return "no picture's size is known"
        beyond = f", {self.num_beyond:,} reach beyond 999" if self.num_beyond else ""
        return f"{self.num - self.num_outside:,} of {self.num:,} fit the pixels of their pictures{beyond}"


def pixel_evidence(found: Iterable[tuple[Sequence[Region], tuple[int, int]]]) -> PixelEvidence:
    """Whether regions are in pixels: nearly all lie in their pictures of (width, height), and some are larger than 999,
    or were they in 0..999, their right and lower ends would hardly all do so (independent and uniform, width/999 x
    height/999 each)."""
    num = num_outside = num_beyond = 0
    log_chance = 0.0
    for regions, size in found:
        for region in regions:
            num += 1
            num_beyond += max(region) > SPAN + OVERSHOOT
            if fits(region, size):
                log_chance += sum(math.log(min(1.0, (side + OVERSHOOT) / SPAN)) for side in size)
            else:
                num_outside += 1
    choices = math.lgamma(num + 1) - math.lgamma(num_outside + 1) - math.lgamma(num - num_outside + 1)
    are_pixels = num_outside <= max(1.0, STRAY_FRAC * num) and (
        num_beyond > STRAY_FRAC * num or log_chance + choices < math.log(CHANCE)
    )
    return PixelEvidence(num, num_outside, num_beyond, are_pixels)


def fits(region: Region, size: tuple[int, int]) -> bool:
    """Whether a region in pixels lies in its picture of (width, height), or nearly."""
    return all(-OVERSHOOT <= value <= size[at % 2] + OVERSHOOT for at, value in enumerate(region))


def in_thousandths(regions: Sequence[Region], image: VisionInput) -> list[Any]:
    """Regions in pixels as lists of numbers in 0..999 of the picture's width and height; what lies a little outside is
    brought to the edge. Raises `BadInput` for one that lies outside."""
    size = image.image_size()
    for region in regions:
        if not fits(region, size):
            shown = " ".join(f"{value:g}" for value in region)
            raise BadInput(f"{shown} lies outside the picture of {size[0]} x {size[1]} pixels")
    return [
        [
            round(min(max(0.0, value), size[at % 2]) * SPAN / size[at % 2], 1)
            for at, value in enumerate(region)
        ]
        for region in regions
    ]
