"""The records of selection rules as a table with intervals of paired ratios, and as a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from recipes.benchmarks.learning.dots import dots
from recipes.benchmarks.learning.records import arms_of, paired, points, student_interval
from recipes.benchmarks.learning.selection import UNIFORM, SelectionRecord
from recipes.report.drawing.curve import Curve, Series
from recipes.report.drawing.template import template

FOLDER = Path(__file__).parent
HEAD = (
    "| rule | seeds | reached it | rollouts to it, median | rollouts, as a share of uniform's "
    "| end, less that of uniform |\n|---|---|---|---|---|---|"
)


def table(records: Sequence[SelectionRecord], target: float) -> str:
    """Markdown. Shares are geometric means with a 95% interval (Student's t of the logarithms), differences in points;
    both paired by run and seed. A run that did not reach the target counts with all rollouts it took: too few."""
    return "\n".join([HEAD, *(_row(records, arm, target) for arm in arms_of(records, UNIFORM))])


def _row(records: Sequence[SelectionRecord], arm: str, target: float) -> str:
    of_arm = [one for one in records if one.arm == arm]
    reached = [one.rollouts_to(target) is not None for one in of_arm]
    pairs = paired(records, arm, UNIFORM)
    cells = (
        arm,
        str(len(of_arm)),
        f"{sum(reached)} of {len(reached)}",
        f"{median(spent(one, target) for one in of_arm):,.0f}",
        "" if arm == UNIFORM else share_interval([share(*pair, target) for pair in pairs]),
        "" if arm == UNIFORM else points([one.end - other.end for one, other in pairs]),
    )
    return f"| {' | '.join(cells)} |"


def spent(one: SelectionRecord, target: float) -> float:
    """Rollouts to the target, else all of them."""
    reached = one.rollouts_to(target)
    return one.num_rollouts if reached is None else reached


def share(one: SelectionRecord, control: SelectionRecord, target: float) -> float:
    """Of the rollouts that the control took; at least one rollout each."""
    return max(1.0, spent(one, target)) / max(1.0, spent(control, target))


def share_interval(shares: Sequence[float]) -> str:
    """
    >>> share_interval([0.5, 0.5, 0.5])
    '50% (50% to 50%)'
    >>> share_interval([0.8])
    '80%'
    """
    if not shares:
        return ""
    mean, half = student_interval([math.log(one) for one in shares])
    if math.isnan(half):
        return f"{math.exp(mean):.0%}"
    return f"{math.exp(mean):.0%} ({math.exp(mean - half):.0%} to {math.exp(mean + half):.0%})"


def page(records: Sequence[SelectionRecord], target: float, title: str) -> str:
    """A self-contained HTML page: the curves of every rule, and what each saved under every seed."""
    curves = (curves_of(records, target), saved(records, target))
    html: str = template("page.html.j2", FOLDER).render(title=title, curves=curves)
    return html


def plot(records: Sequence[SelectionRecord], target: float) -> str:
    """What each rule saved, as an SVG file."""
    svg: str = template("plot.svg.j2", FOLDER).render(curve=saved(records, target), width=1040, height=330)
    return svg


def curves_of(records: Sequence[SelectionRecord], target: float) -> Curve:
    """Of each rule the median over its seeds, evaluation by evaluation."""
    lines = []
    for tone, arm in enumerate(arms_of(records, UNIFORM)):
        of_arm = [one.curve for one in records if one.arm == arm]
        points = [
            (median(num for num, _ in at), median(rate for _, rate in at))
            for at in zip(*of_arm, strict=False)
        ]
        lines.append(Series(arm, tuple(points), tone=tone, bold=arm == UNIFORM))
    last = max(one.num_rollouts for one in records)
    level = Series(f"{target:.0%}", ((0.0, target), (float(last), target)), tone=2, dashed=True)
    rates = [rate for line in (*lines, level) for _, rate in line.points]
    title = "Held-out pass@1 by rollouts, median of the seeds"
    y_range = (max(0.0, min(rates) - 0.02), min(1.0, max(rates) + 0.02))
    return Curve(title, (*lines, level), y_range=y_range, is_frac=True, end_labels=True)


def saved(records: Sequence[SelectionRecord], target: float) -> Curve:
    """1 less the share of uniform's rollouts: above 0 a rule took fewer."""
    figures = {
        arm: {
            f"{one.run}, seed {one.seed}": 1 - share(one, control, target)
            for one, control in paired(records, arm, UNIFORM)
        }
        for arm in arms_of(records, UNIFORM)
    }
    title = f"Rollouts saved until a held-out pass@1 of {target:.0%}"
    return dots(title, {arm: of for arm, of in figures.items() if of}, (UNIFORM, 0.0))
