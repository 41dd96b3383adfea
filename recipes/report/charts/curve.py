"""A line chart as inline SVG: a few kilobytes, no script, colours from the page's own variables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from recipes.report.charts.axis import round_ticks, short_number

MAX_POINTS = 400


@dataclass(frozen=True)
class Series:
    """`tone` 0 is the ink of the page, 1 to 6 its hues. `faint` lies behind, as raw values behind their mean."""

    name: str
    points: tuple[tuple[float, float], ...]
    tone: int = 0
    bold: bool = False
    faint: bool = False
    dots: bool = False
    dashed: bool = False


@dataclass(frozen=True)
class Curve:
    """`x_labels` name places on the x axis; `marks` are dashed vertical lines, such as where a round begins."""

    title: str
    series: tuple[Series, ...]
    x_labels: tuple[tuple[float, str], ...] = ()
    marks: tuple[tuple[float, str], ...] = ()
    y_range: tuple[float, float] | None = None
    number: Callable[[float], str] = short_number
    tick_number: Callable[[float], str] = short_number
    end_labels: bool = False
    caption: str = ""
    x_name: str = "step"

    @property
    def legend(self) -> list[Series]:
        """The series a reader needs told apart; one alone needs no legend."""
        shown = {series.name: series for series in self.series if not series.faint}
        return list(shown.values()) if len(shown) > 1 else []

    def svg(self, width: int = 360, height: int = 190) -> Markup:
        """The drawing in a box of `width` x `height` that scales with the page."""
        return _Drawing(self, width, height).svg()


class _Drawing:
    """The scales of one curve at one size."""

    def __init__(self, curve: Curve, width: int, height: int) -> None:
        self.curve, self.width, self.height = curve, width, height
        points = [point for series in curve.series for point in series.points]
        xs, ys = [x for x, _ in points], [y for _, y in points]
        low, high = curve.y_range or (min([0.0, *ys]), max(ys))
        self.y_ticks = round_ticks(low, high, max_ticks=5 if height > 220 else 4)
        self.y_low, self.y_high = self.y_ticks[0], self.y_ticks[-1]
        self.x_low, self.x_high = min(xs), max(*xs, min(xs) + 1e-9)
        longest_label = max(len(curve.tick_number(tick)) for tick in self.y_ticks)
        self.left = 14 + 7 * max(longest_label, 3 if curve.x_labels else 0)
        longest_name = max(len(series.name) for series in curve.series)
        self.right = width - (20 + 7.2 * longest_name if curve.end_labels else 14)
        # Names that would run into each other stand in two lines.
        slot = (self.right - self.left) / max(len(curve.x_labels) - 1, 1)
        self.two_lines = any(7 * len(name) > slot for _, name in curve.x_labels)
        self.top, self.bottom = (22 if curve.marks else 10), height - (40 if self.two_lines else 26)

    def x(self, value: float) -> float:
        return self.left + (value - self.x_low) / (self.x_high - self.x_low) * (self.right - self.left)

    def y(self, value: float) -> float:
        return self.bottom - (value - self.y_low) / (self.y_high - self.y_low) * (self.bottom - self.top)

    def svg(self) -> Markup:
        parts = [*self._grid(), *self._x_axis(), *self._marks()]
        for series in sorted(self.curve.series, key=lambda one: (not one.faint, one.bold)):
            parts += self._line(series)
        if self.curve.end_labels:
            parts += self._end_labels()
        box = f"0 0 {self.width} {self.height}"
        head = f'<svg class="curve" viewBox="{box}" role="img" aria-label="{escape(self.curve.title)}">'
        # Every text in `parts` went through `escape`.
        return Markup(head + "".join(parts) + "</svg>")

    def _grid(self) -> list[str]:
        parts = []
        for tick in self.y_ticks:
            y = self.y(tick)
            parts.append(
                f'<line class="grid" x1="{self.left:.1f}" x2="{self.right:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
            )
            label = escape(self.curve.tick_number(tick))
            parts.append(
                f'<text class="tick" x="{self.left - 7:.1f}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'
            )
        return parts

    def _x_axis(self) -> list[str]:
        labels = self.curve.x_labels
        if not labels:
            ticks = round_ticks(self.x_low, self.x_high, max_ticks=4)
            labels = tuple(
                (tick, short_number(tick))
                for tick in ticks
                if self.x_low <= tick <= self.x_high and tick == int(tick)
            )
        parts = []
        for value, name in labels:
            first, _, second = name.rpartition(" ") if self.two_lines else (name, "", "")
            x, y = self.x(value), self.bottom + 18
            parts.append(
                f'<text class="tick" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{escape(first)}</text>'
            )
            if second:
                second_line = f'x="{x:.1f}" y="{y + 14:.1f}" text-anchor="middle"'
                parts.append(f'<text class="tick" {second_line}>{escape(second)}</text>')
        return parts

    def _marks(self) -> list[str]:
        parts = []
        for value, name in self.curve.marks:
            x = self.x(value)
            if value > self.x_low:
                ends = f'y1="{self.top - 12}" y2="{self.bottom}"'
                parts.append(f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" {ends}/>')
            parts.append(f'<text class="tick" x="{x + 4:.1f}" y="{self.top - 4}">{escape(name)}</text>')
        return parts

    def _line(self, series: Series) -> list[str]:
        points = thinned(series.points)
        path = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        weight = "bold" if series.bold else "faint" if series.faint else "plain"
        style = f"{weight} dashed" if series.dashed else weight
        parts = [f'<polyline class="line {style} tone{series.tone}" points="{path}"/>']
        if series.dots or len(points) == 1:
            names = dict(self.curve.x_labels)
            for x, y in points:
                words = f"{series.name}, {names.get(x, f'{self.curve.x_name} {x:g}')}: {self.curve.number(y)}"
                spot = f'cx="{self.x(x):.1f}" cy="{self.y(y):.1f}"'
                parts.append(f'<circle class="dot tone{series.tone}" {spot} r="{4 if series.bold else 3}"/>')
                parts.append(f'<circle class="touch" {spot} r="10"><title>{escape(words)}</title></circle>')
        return parts

    def _end_labels(self) -> list[str]:
        ends = [(self.y(series.points[-1][1]), series) for series in self.curve.series if series.points]
        ends.sort(key=lambda end: end[0])
        heights = spread([y for y, _ in ends], gap=15, low=self.top + 4, high=self.bottom)
        return [
            f'<text class="end tone{series.tone}" x="{self.x(series.points[-1][0]) + 9:.1f}" y="{y + 4:.1f}">'
            f"{escape(series.name)}</text>"
            for y, (_, series) in zip(heights, ends, strict=True)
        ]


def thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most `MAX_POINTS` points: neighbours are averaged where there are more."""
    size = -(-len(points) // MAX_POINTS)
    buckets = [points[start : start + size] for start in range(0, len(points), max(size, 1))]
    return [(sum(x for x, _ in part) / len(part), sum(y for _, y in part) / len(part)) for part in buckets]


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Heights as near as can be to the wanted ones (ascending), `gap` apart and from `low` to `high`.

    Less its rank times the gap, each height has to be no less than the one before: isotonic regression, by
    pooling neighbours that are out of order.

    >>> spread([100.0, 100.0, 150.0], gap=10, low=0, high=200)
    [95.0, 105.0, 150.0]
    """
    pools: list[tuple[float, int]] = []  # (mean, size)
    for rank, y in enumerate(wanted):
        pool = (y - rank * gap, 1)
        while pools and pools[-1][0] > pool[0]:
            mean, size = pools.pop()
            pool = ((mean * size + pool[0] * pool[1]) / (size + pool[1]), size + pool[1])
        pools.append(pool)
    room = max(high - (len(wanted) - 1) * gap, low)
    level = [min(max(mean, low), room) for mean, size in pools for _ in range(size)]
    return [y + rank * gap for rank, y in enumerate(level)]
