"""Pixels told from thousandths, and turned into them."""

from __future__ import annotations

import pytest
from PIL import Image

from sampler.imports.pixel_boxes import in_thousandths, pixel_evidence, regions_of
from tests.unit.sampler.duplicates.test_look_alikes import stored
from verifiers.errors import BadInput


@pytest.mark.parametrize(
    ("regions", "size", "wanted"),
    [
        ([(10, 10, 630, 470)] * 30, (640, 480), True),  # 30 boxes that all fit: (0.64 x 0.48)^30
        ([(10, 10, 630, 470)] * 3, (640, 480), False),  # three may by chance
        ([(10, 10, 900, 900)] * 30, (640, 480), False),  # none would fit
        ([(10, 10, 900, 900)] * 30, (2000, 1500), False),  # thousandths always fit large pictures
        ([(10, 10, 1800, 900)], (2000, 1500), True),  # beyond 999
        ([(500.0, 300.0)] * 30, (640, 480), True),  # points
        ([], (640, 480), False),
    ],
)
def test_looks_like_pixels(regions: list[tuple[float, ...]], size: tuple[int, int], wanted: bool) -> None:
    assert pixel_evidence([([region], size) for region in regions]).are_pixels is wanted


def test_a_stray_region_decides_nothing_and_is_told() -> None:
    small, large = (640, 480), (2000, 1500)
    pixels, thousandths = [([(10.0, 10, 630, 470)], small)] * 199, [([(10.0, 10, 900, 900)], large)] * 199
    cut = pixel_evidence([*pixels, ([(10.0, 10, 700, 470)], small)])
    assert cut == (200, 1, 0, True)
    assert cut.words == "199 of 200 fit the pixels of their pictures"
    assert not pixel_evidence([*pixels, *[([(10.0, 10, 700, 470)], small)] * 20]).are_pixels
    beyond = pixel_evidence([*thousandths, ([(10.0, 10, 1400, 900)], large)])
    assert not beyond.are_pixels and beyond.words.endswith("1 reach beyond 999")


def test_a_region_a_pixel_over_the_edge_is_brought_to_it() -> None:
    picture = stored(Image.new("RGB", (640, 480)))
    assert in_thousandths([(-1, 0, 641, 480)], picture) == [[0.0, 0.0, 999.0, 999.0]]
    with pytest.raises(BadInput, match="lies outside the picture of 640 x 480 pixels"):
        in_thousandths([(0, 0, 643, 480)], picture)


@pytest.mark.parametrize(
    ("reference", "wanted"),
    [
        ("<bbox>1 2 3 4</bbox>", [(1, 2, 3, 4)]),
        ([[1, 2, 3, 4], [5, 6, 7, 8]], [(1, 2, 3, 4), (5, 6, 7, 8)]),
        ('{"point_2d": [5, 6]}', [(5, 6)]),
        (
            {"boxes": [[1, 2, 3, 4]], "space": "pixel", "image_size": [9, 9]},
            None,
        ),  # says itself what it is in
        ("a red kite", None),
    ],
)
def test_regions_of(reference: object, wanted: object) -> None:
    assert regions_of(reference) == wanted  # type: ignore[arg-type]
