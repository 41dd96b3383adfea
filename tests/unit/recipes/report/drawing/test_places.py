"""Boxes, points, outlines and spans as their verifiers read them, in fractions of the picture."""

from __future__ import annotations

from typing import Any

import pytest

from recipes.report.drawing.places import PlaceReader

BOX = "<bbox>0 0 999 499.5</bbox>"
TRIANGLE = [[0, 0], [999, 0], [0, 999]]


def corners(reader: PlaceReader, text: str) -> list[tuple[str, tuple[tuple[float, float], ...], str]]:
    return [(one.shape, one.corners, one.words) for one in reader.of_answer(text).places]


def test_every_box_with_its_overlap() -> None:
    reader = PlaceReader("bbox_iou", {}, [[0, 0, 499.5, 999], [500, 0, 999, 999]])
    left, _ = reader.of_reference.places
    assert sum(left.corners, ()) == pytest.approx((0, 0, 0.5, 1))
    first, second = corners(reader, BOX + "<bbox>0 0 499.5 999</bbox>")
    assert (first[0], first[2]) == ("box", "IoU 0.33")
    assert second[2] == "IoU 1.00"


@pytest.mark.parametrize(
    ("verifier", "options", "reference", "answer", "expected"),
    [
        ("point_in_box", {}, "<bbox>0 0 500 500</bbox>", "<point>99.9 99.9</point>", ("point", "inside")),
        ("point_in_box", {}, "<bbox>0 0 500 500</bbox>", "<point>600 99</point>", ("point", "outside")),
        ("point_distance", {}, [100, 100], "<point>130 140</point>", ("point", "50 away")),
        ("polygon_iou", {}, TRIANGLE, "<polygon>0 0 999 0 0 999</polygon>", ("outline", "IoU 1.00")),
        ("spot_difference", {}, "hat <bbox>1 1 9 9</bbox>", "hat <bbox>1 1 9 9</bbox>", ("box", "IoU 1.00")),
        ("math", {}, "7", "it is 7 <bbox>1 2 3 4</bbox>", ("box", "")),
        (
            "bbox_iou", {"answer_space": "pixel"},
            {"boxes": [[0, 0, 50, 50]], "space": "pixel", "image_size": [100, 100]},
            "<bbox>0 0 50 50</bbox>", ("box", "IoU 1.00"),
        ),
    ],
)  # fmt: skip
def test_what_each_verifier_reads(
    verifier: str, options: dict[str, Any], reference: Any, answer: str, expected: tuple[str, str]
) -> None:
    (found,) = corners(PlaceReader(verifier, options, reference), answer)
    assert (found[0], found[2]) == expected
    assert all(0 <= number <= 1 for corner in found[1] for number in corner)


def test_pixels_are_placed_by_the_size_of_the_picture() -> None:
    reference = {"boxes": [[20, 10, 50, 50]], "space": "pixel", "image_size": [100, 50]}
    (place,) = PlaceReader("bbox_iou", {}, reference).of_reference.places
    assert sum(place.corners, ()) == pytest.approx((0.2, 0.2, 0.5, 1.0))
    no_size = {"boxes": [[20, 10, 50, 50]], "space": "pixel"}
    assert PlaceReader("bbox_iou", {}, no_size).of_reference.places == ()


def test_spans_of_a_film() -> None:
    (span,) = PlaceReader("temporal_iou", {}, [0, 4]).of_answer("from 2 to 6 seconds").spans
    assert (span.start, span.end, span.words) == (2.0, 6.0, "IoU 0.33")


@pytest.mark.parametrize("text", ["", "no box", "<bbox>1 2 3</bbox>", "<bbox>nan 1 2 3</bbox>", "9" * 30_000])
@pytest.mark.parametrize("reference", [None, 7, "", "junk", {"boxes": 1}, [[1, 2]], [["a"] * 4]])
@pytest.mark.parametrize(
    "verifier", ["bbox_iou", "point_distance", "polygon_iou", "temporal_iou", "os:system", ""]
)
def test_nothing_is_drawn_of_what_names_no_place(verifier: str, reference: Any, text: str) -> None:
    assert PlaceReader(verifier, {"no such option": 1}, reference).of_answer(text).places == ()
    assert PlaceReader(verifier, {}, reference).of_answer(text).places == ()
