"""The second rounds' records as a table with intervals of paired differences, and as a page."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median, stdev

from recipes.benchmarks.learning.dots import dots
from recipes.benchmarks.learning.rounds import GO_ON, RoundRecord
from recipes.report.drawing.curve import Curve
from recipes.report.drawing.template import template

FOLDER = Path(__file__).parent

HEAD = (
    "| arm | seeds | before RL, less the RL policy | end "
    "| end, less that of RL that goes on | rollouts | optimizer steps |"
)


def table(records: Sequence[RoundRecord]) -> str:
    """Markdown: means over the seeds; differences in points with their 95% interval, paired by run and seed."""
    return "\n".join(
        [HEAD, "|---|---|---|---|---|---|---|", *(_row(records, arm) for arm in arms_of(records))]
    )


def _row(records: Sequence[RoundRecord], arm: str) -> str:
    of_arm = [one for one in records if one.arm == arm]
    pairs = pairs_with_go_on(records, arm)
    cells = (
        arm,
        str(len(of_arm)),
        interval([one.before_rl - one.start for one in of_arm])
        if any(one.before_rl != one.start for one in of_arm)
        else "",
        f"{100 * fmean(one.end for one in of_arm):.1f}%",
        "" if arm == GO_ON else interval([one.end - other.end for one, other in pairs]),
        f"{median(one.num_rollouts for one in of_arm):,.0f}",
        f"{median(one.num_optimizer_steps for one in of_arm):,.0f}",
    )
    return f"| {' | '.join(cells)} |"


def arms_of(records: Sequence[RoundRecord]) -> list[str]:
    """Their arms: RL that goes on, then the others by name."""
    return sorted({one.arm for one in records}, key=lambda arm: (arm != GO_ON, arm))


def pairs_with_go_on(records: Sequence[RoundRecord], arm: str) -> list[tuple[RoundRecord, RoundRecord]]:
    """Records of an arm, each with that of RL that goes on from the same policy under the same seed."""
    control = {(one.run, one.seed): one for one in records if one.arm == GO_ON}
    of_arm = [one for one in records if one.arm == arm]
    return [(one, control[one.run, one.seed]) for one in of_arm if (one.run, one.seed) in control]


def interval(differences: Sequence[float]) -> str:
    """Mean and 95% interval by Student's t, in points.

    >>> interval([0.01, 0.02, 0.03])
    '+2.0 (-0.5 to +4.5)'
    """
    from scipy.stats import t

    if not differences:
        return ""
    mean = 100 * fmean(differences)
    if len(differences) == 1:
        return f"{mean:+.1f}"
    half = 100 * t.ppf(0.975, len(differences) - 1) * stdev(differences) / math.sqrt(len(differences))
    return f"{mean:+.1f} ({mean - half:+.1f} to {mean + half:+.1f})"


def page(records: Sequence[RoundRecord], title: str) -> str:
    """A self-contained HTML page: before RL and at the end, both as differences."""
    html: str = template("page.html.j2", FOLDER).render(title=title, curves=_curves(records))
    return html


def plot(records: Sequence[RoundRecord]) -> str:
    """The end of every arm as an SVG file."""
    _, end = _curves(records)
    svg: str = template("plot.svg.j2", FOLDER).render(curve=end, width=1040, height=330)
    return svg


def _curves(records: Sequence[RoundRecord]) -> tuple[Curve, Curve]:
    before: dict[str, dict[str, float]] = defaultdict(dict)
    end: dict[str, dict[str, float]] = defaultdict(dict)
    for arm in arms_of(records):
        for one, control in pairs_with_go_on(records, arm):
            of_pair = f"{one.run}, seed {one.seed}"
            before[arm][of_pair] = one.before_rl - one.start
            end[arm][of_pair] = one.end - control.end
    return (
        dots("Held-out pass@1 before RL, less that of the RL policy", before, ("the RL policy", 0.0)),
        dots("Held-out pass@1 at the end, less that of RL that goes on", end, (GO_ON, 0.0)),
    )
