"""The second rounds' records as a table with intervals of paired differences, and as a page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median

from recipes.benchmarks.learning.dots import dots
from recipes.benchmarks.learning.records import arms_of, paired, points
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
        [HEAD, "|---|---|---|---|---|---|---|", *(_row(records, arm) for arm in arms_of(records, GO_ON))]
    )


def _row(records: Sequence[RoundRecord], arm: str) -> str:
    of_arm = [one for one in records if one.arm == arm]
    pairs = paired(records, arm, GO_ON)
    cells = (
        arm,
        str(len(of_arm)),
        points([one.before_rl - one.start for one in of_arm])
        if any(one.before_rl != one.start for one in of_arm)
        else "",
        f"{100 * fmean(one.end for one in of_arm):.1f}%",
        "" if arm == GO_ON else points([one.end - other.end for one, other in pairs]),
        f"{median(one.num_rollouts for one in of_arm):,.0f}",
        f"{median(one.num_optimizer_steps for one in of_arm):,.0f}",
    )
    return f"| {' | '.join(cells)} |"


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
    for arm in arms_of(records, GO_ON):
        for one, control in paired(records, arm, GO_ON):
            of_pair = f"{one.run}, seed {one.seed}"
            before[arm][of_pair] = one.before_rl - one.start
            end[arm][of_pair] = one.end - control.end
    return (
        dots("Held-out pass@1 before RL, less that of the RL policy", before, ("the RL policy", 0.0)),
        dots("Held-out pass@1 at the end, less that of RL that goes on", end, (GO_ON, 0.0)),
    )
