"""Histograms of pass rates side by side: `histogram.svg.j2` draws them, inline or as a file of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recipes.report.drawing.curve import Curve
from recipes.report.drawing.template import template

NUM_BINS = 10
COLUMNS, WIDTH, HEIGHT, GAP = 3, 300, 150, 24


@dataclass(frozen=True)
class Histogram:
    """``counts`` of pass rates from 0 to 1, in bins of one width; ``mean`` of them all."""

    title: str
    counts: tuple[int, ...]
    mean: float

    @property
    def total(self) -> int:
        return sum(self.counts)

    def bars(self, width: float, height: float) -> list[tuple[float, float, int, str]]:
        """Left side, height, count and the range in words of each bar in a box of that size."""
        step, tallest = width / len(self.counts), max(*self.counts, 1)
        return [
            (
                index * step,
                height * count / tallest,
                count,
                f"{index / len(self.counts):.0%} to {(index + 1) / len(self.counts):.0%}",
            )
            for index, count in enumerate(self.counts)
        ]


def bins_of(places: Mapping[int, int]) -> tuple[int, ...]:
    """The counts by bin as a histogram has them.

    >>> bins_of({0: 4, 9: 1})
    (4, 0, 0, 0, 0, 0, 0, 0, 0, 1)
    """
    return tuple(places.get(index, 0) for index in range(NUM_BINS))


def svg_file(title: str, histograms: Sequence[Histogram], curve: Curve | None = None) -> str:
    """All of them in one SVG file, three a row, and under them a curve."""
    rows = -(-len(histograms) // COLUMNS)
    width = COLUMNS * WIDTH + (COLUMNS + 1) * GAP
    top = 48 + rows * (HEIGHT + 2 * GAP)
    drawn: str = template("histograms.svg.j2").render(
        title=title,
        placed=[
            (GAP + (index % COLUMNS) * (WIDTH + GAP), 48 + index // COLUMNS * (HEIGHT + 2 * GAP), one)
            for index, one in enumerate(histograms)
        ],
        curve=curve,
        top=top,
        width=width,
        height=top + (260 if curve else 0),
        box=(WIDTH, HEIGHT),
    )
    return drawn
