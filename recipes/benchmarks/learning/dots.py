"""Arms beside each other as a chart: a small dot a run, a large one for the median, a dashed level to compare with."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from recipes.report.drawing.curve import Curve, Series


def dots(title: str, arms: Mapping[str, Mapping[str, float]], level: tuple[str, float]) -> Curve:
    """``arms``: figures by the arm's name and the run's, shares of 1; ``level``: what the dashed line means and where
    it lies."""
    name, height = level
    lines = [Series(name, ((-0.5, height), (len(arms) - 0.5, height)), tone=2, dashed=True)]
    for x, figures in enumerate(arms.values()):
        lines += [Series(run, ((float(x), value),), tone=1, dots=True) for run, value in figures.items()]
        lines.append(Series("median", ((float(x), median(figures.values())),), bold=True))
    values = [height, *(value for figures in arms.values() for value in figures.values())]
    return Curve(
        f"{title} (dashed: {name})",
        tuple(lines),
        x_labels=tuple((float(x), arm) for x, arm in enumerate(arms)),
        y_range=(min(values) - 0.02, min(1.0, max(values) + 0.02)),
        is_frac=True,
    )
