"""Pixels told from thousandths, and turned into them."""

from __future__ import annotations

import pytest

from sampler.imports.pixel_boxes import looks_like_pixels, regions_of


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
    assert looks_like_pixels([([region], size) for region in regions]) is wanted


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
