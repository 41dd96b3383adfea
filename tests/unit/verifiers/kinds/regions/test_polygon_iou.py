"""Areas of regions against exact clipping of convex polygons in rationals, against pixels, and by hand."""

from __future__ import annotations

import random
import time
from fractions import Fraction
from math import cos, pi, sin

import numpy as np
import pytest

from verifiers.errors import BadReference
from verifiers.reading.places.polygon import region_areas
from verifiers.registry import load_verifier


def exact_area(polygon):
    return (
        abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(polygon, polygon[1:] + polygon[:1], strict=True)))
        / 2
    )


def clipped(subject, clip):
    """Sutherland and Hodgman (1974) in rationals: the part of a convex polygon in another, both counter-clockwise."""
    for a, b in zip(clip, clip[1:] + clip[:1], strict=True):
        side = [(b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]) for p in subject]
        kept = []
        for (p, s), (q, u) in zip(
            zip(subject, side, strict=True),
            zip(subject[1:] + subject[:1], side[1:] + side[:1], strict=True),
            strict=True,
        ):
            if s >= 0:
                kept.append(p)
            if s * u < 0:
                kept.append(tuple(p[i] + (q[i] - p[i]) * s / (s - u) for i in (0, 1)))
        subject = kept
        if not subject:
            return []
    return subject


def convex(rng):
    """Points of a circle in order."""
    angles = sorted(rng.uniform(0, 2 * pi) for _ in range(rng.randint(3, 9)))
    x, y, r = rng.uniform(0, 60), rng.uniform(0, 60), rng.uniform(10, 60)
    return [(Fraction(x + r * cos(a)), Fraction(y + r * sin(a))) for a in angles]


def test_areas_are_those_of_exact_clipping():
    rng = random.Random(3)
    num_overlapping = 0
    for _ in range(300):
        a, b = convex(rng), convex(rng)
        shared = exact_area(clipped(a, b)) if clipped(a, b) else Fraction(0)
        got = region_areas([[tuple(map(float, p)) for p in a]], [[tuple(map(float, p)) for p in b]])
        assert got[0] == pytest.approx(float(shared), abs=1e-8)
        assert got[1] == pytest.approx(float(exact_area(a) + exact_area(b) - shared), abs=1e-8)
        num_overlapping += shared > 0
    assert num_overlapping > 100


def drawn(rings, points):
    """Which of points [n, 2] lie in the region: a ray to the right crosses its edges an odd number of times."""
    inside = np.zeros(len(points), dtype=bool)
    x, y = points.T
    for ring in rings:
        for (x1, y1), (x2, y2) in zip(ring, (*ring[1:], *ring[:1]), strict=True):
            if y1 != y2:
                inside ^= ((y1 <= y) != (y2 <= y)) & (x < x1 + (x2 - x1) * (y - y1) / (y2 - y1))
    return inside


def test_areas_are_those_of_pixels_for_whatever_crosses_itself():
    rng = random.Random(5)
    axis = (np.arange(500) + 0.5) / 5
    points = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    for _ in range(8):
        a, b = (
            [[(rng.uniform(0, 100), rng.uniform(0, 100)) for _ in range(rng.randint(3, 9))] for _ in range(2)]
            for _ in range(2)
        )
        in_a, in_b = drawn(a, points), drawn(b, points)
        shared, either = region_areas(a, b)
        assert shared == pytest.approx((in_a & in_b).sum() / 25, abs=25)
        assert either == pytest.approx((in_a | in_b).sum() / 25, abs=25)


def test_the_area_does_not_depend_on_where_a_ring_starts_or_how_the_picture_is_turned():
    rng = random.Random(7)
    for _ in range(50):
        a, b = ([(rng.uniform(0, 9), rng.uniform(0, 9)) for _ in range(7)] for _ in range(2))
        shared, either = region_areas([a], [b])
        turned = [[(y, -x) for x, y in ring[3:] + ring[:3]] for ring in (b[::-1], a)]
        assert region_areas([turned[0]], [turned[1]]) == pytest.approx((shared, either))


def test_an_answer_that_crosses_itself_at_every_turn_is_judged_in_time():
    star = " ".join(
        f"{500 + 400 * cos(2 * pi * i * 39 / 79):.3f} {500 + 400 * sin(2 * pi * i * 39 / 79):.3f}"
        for i in range(79)
    )
    comb = [[i * 8, 0 if i % 2 else 999] for i in range(60)]
    started = time.process_time()
    verdict = load_verifier("polygon_iou").judge(comb, f"<polygon>{star}</polygon>")
    assert time.process_time() - started < 2.0
    assert verdict.code == "overlap" and 0 < verdict.score < 1


@pytest.mark.parametrize(
    "reference",
    [
        [[0, 0], [1, 1]],
        [0, 0, 1, 1],
        [[0, 0], [1, 1], [2, 2]],
        [[0, 0], [float("nan"), 1], [2, 0]],
        [[0, 0], [1e300, 1], [2, 0]],
        "a square",
        None,
        [],
        {"box": [[0, 0], [1, 1], [1, 0]]},
        [[[[[[0, 0], [1, 1], [1, 0]]]]]],
        [[0, 0], [True, 1], [2, 0]],
        [[i % 40, i] for i in range(600)],
    ],
)
def test_a_reference_without_an_area_is_refused(reference):
    with pytest.raises(BadReference, match="polygon"):
        load_verifier("polygon_iou").prepare(reference)


@pytest.mark.parametrize(
    "answer",
    [
        "0 0 9e8 1e-300 8e8 2e-300 7e8 1e-300",
        "-9e8 0 9e8 1e-301 8e8 1e-301 -8e8 0",
        "0 0 9e5 1e-300 8e5 2e-300 7e5 1e-300",
        "-9e5 0 9e5 1e-8 8e5 2e-8 -8e5 1e-8",
        "0 0 1e999 0 0 1e999",
    ],
)
@pytest.mark.parametrize("options", [{}, {"threshold": 0.5}])
def test_a_slope_that_no_float_can_carry_overlaps_nothing(answer, options):
    verdict = load_verifier("polygon_iou", options).judge(
        [[10, 10], [110, 10], [60, 110]], f"<polygon>{answer}</polygon>"
    )
    assert (verdict.status, verdict.score) == ("scored", 0.0)


def test_no_polygon_however_odd_scores_without_lying_over_the_reference():
    rng = random.Random(11)
    rule = load_verifier("polygon_iou")
    for _ in range(300):
        thin = [
            f"{rng.choice((-1, 1)) * 10 ** rng.uniform(-320, 12):.3g}" for _ in range(2 * rng.randint(3, 8))
        ]
        verdict = rule.judge([[5e4, 5e4], [6e4, 5e4], [5.5e4, 6e4]], f"<polygon>{' '.join(thin)}</polygon>")
        assert verdict.judged and verdict.score < 0.05
