"""A line chart: `curve.svg.j2` draws it as inline SVG, in colours that are the page's own variables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

MAX_POINTS = 400


@dataclass(frozen=True)
class Series:
    """`tone` 0 is the ink of the page, 1 to 8 its hues. `faint` lies behind, as raw values behind their mean. `bounds`
    are (x, low, high) of what holds a point."""

    name: str
    points: tuple[tuple[float, float], ...]
    tone: int = 0
    bold: bool = False
    faint: bool = False
    dots: bool = False
    dashed: bool = False
    bounds: tuple[tuple[float, float, float], ...] = ()

    @property
    def css(self) -> str:
        weight = "bold" if self.bold else "faint" if self.faint else "plain"
        return f"{weight}{' dashed' if self.dashed else ''} tone{self.tone}"

    @property
    def thinned(self) -> list[tuple[float, float]]:
        """At most `MAX_POINTS` points: neighbours are averaged where there are more."""
        size = max(-(-len(self.points) // MAX_POINTS), 1)
        parts = [self.points[start : start + size] for start in range(0, len(self.points), size)]
        return [(sum(x for x, _ in part) / len(part), sum(y for _, y in part) / len(part)) for part in parts]


@dataclass(frozen=True)
class Link:
    """An address behind a place on the x axis, and what it is called."""

    x: float
    words: str
    address: str


@dataclass(frozen=True)
class Curve:
    """`x_labels` name places on the x axis; `marks` are dashed vertical lines, such as where a round begins. `links`
    lead from a point to what is behind it, where there is something to lead to."""

    title: str
    series: tuple[Series, ...]
    x_labels: tuple[tuple[float, str], ...] = ()
    marks: tuple[tuple[float, str], ...] = ()
    y_range: tuple[float, float] | None = None
    is_frac: bool = False
    end_labels: bool = False
    caption: str = ""
    links: tuple[Link, ...] = ()

    @property
    def legend(self) -> list[Series]:
        """The series a reader needs told apart; one alone needs no legend."""
        shown = {series.name: series for series in self.series if not series.faint}
        return list(shown.values()) if len(shown) > 1 else []

    def number(self, value: float, decimals: int = 1) -> str:
        return f"{value:.{decimals}%}" if self.is_frac else short_number(value)

    def scaled(self, width: int, height: int) -> ScaledCurve:
        return ScaledCurve(self, width, height)


class ScaledCurve:
    """Where everything stands in a box of `width` x `height` that scales with the page."""

    def __init__(self, curve: Curve, width: int, height: int) -> None:
        self.curve = curve
        xs, ys = zip(*(point for series in curve.series for point in series.points), strict=True)
        low, high = curve.y_range or (min(0.0, *ys), max(ys))
        self.y_ticks = round_ticks(low, high, max_ticks=5 if height > 220 else 4)
        self.x_low, self.x_high = min(xs), max(*xs, min(xs) + 1e-9)
        labels = curve.x_labels or [(x, short_number(x)) for x in self._whole_steps()]
        longest_tick = max(len(curve.number(tick, 0)) for tick in self.y_ticks)
        self.left = 14.0 + 7 * max(longest_tick, 3 if curve.x_labels else 0)
        longest_name = max(len(series.name) for series in curve.series)
        self.right = width - (20 + 7.2 * longest_name if curve.end_labels else 14)
        # Names that would run into each other stand in two lines.
        slot = (self.right - self.left) / max(len(curve.x_labels) - 1, 1)
        two_lines = any(7 * len(name) > slot for _, name in curve.x_labels)
        self.x_ticks = [(x, name.rsplit(" ", 1) if two_lines else [name]) for x, name in labels]
        self.top, self.bottom = (22 if curve.marks else 10), height - (40 if two_lines else 26)
        self.layers = sorted(curve.series, key=lambda series: (not series.faint, series.bold))

    def x(self, value: float) -> float:
        return self.left + (value - self.x_low) / (self.x_high - self.x_low) * (self.right - self.left)

    def y(self, value: float) -> float:
        low, high = self.y_ticks[0], self.y_ticks[-1]
        return self.bottom - (value - low) / (high - low) * (self.bottom - self.top)

    def name_of(self, x: float) -> str:
        return dict(self.curve.x_labels).get(x, f"step {x:g}")

    @property
    def ends(self) -> list[tuple[Series, float]]:
        """Each series with the height at which its name stands beside its end."""
        known = sorted(self.curve.series, key=lambda series: self.y(series.points[-1][1]))
        wanted = [self.y(series.points[-1][1]) for series in known]
        return list(zip(known, spread(wanted, gap=15, low=self.top + 4, high=self.bottom), strict=True))

    @property
    def hits(self) -> list[tuple[Link, float, float]]:
        """Every link with the left side and the width of the strip that it fills; thinned like the points."""
        links = self.curve.links[:: -(-len(self.curve.links) // MAX_POINTS) or 1]
        width = (self.right - self.left) / max(len(links) - 1, 1)
        return [(link, self.x(link.x) - width / 2, width) for link in links]

    def _whole_steps(self) -> list[float]:
        ticks = round_ticks(self.x_low, self.x_high, max_ticks=4)
        return [tick for tick in ticks if self.x_low <= tick <= self.x_high and tick == int(tick)]


def round_ticks(low: float, high: float, max_ticks: int = 5) -> list[float]:
    """At most `max_ticks` steps of 1, 2 or 5 times a power of ten, from at or below `low` to at or above `high`.

    >>> round_ticks(0.13, 0.82)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    if not high > low:
        high = low + (abs(low) or 1.0)
    rough = (high - low) / max_ticks
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 12) if step > 1e-9 else index * step for index in range(first, last + 1)]


def short_number(value: float) -> str:
    """1,250 as 1,250, 0.125 as 0.125, 48,100 as 48.1k, 0.0000034 as 3.4e-6."""
    size = abs(value)
    if not math.isfinite(value):
        return str(value)
    if size >= 1e4:
        return f"{value / 1e6:.3g}M" if size >= 1e6 else f"{value / 1e3:.3g}k"
    if size >= 100 or value == int(value):
        return f"{value:,.0f}"
    if size >= 1e-3:
        return f"{value:.3g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


def percent(value: float) -> str:
    """0.4821 as 48.2%."""
    return f"{value:.1%}"


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Heights as near as can be to the wanted ones (ascending), `gap` apart and from `low` to `high`.

    Less its rank times the gap, each height has to be no less than the one before: isotonic regression.

    >>> spread([100.0, 100.0, 150.0], gap=10, low=0, high=200)
    [95.0, 105.0, 150.0]
    """
    import numpy as np
    from scipy.optimize import isotonic_regression

    offsets = gap * np.arange(len(wanted))
    level = isotonic_regression(np.asarray(wanted) - offsets).x.clip(low, max(high - offsets[-1], low))
    heights: list[float] = (level + offsets).tolist()
    return heights
