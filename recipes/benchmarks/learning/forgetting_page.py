"""What an SFT after RL made a policy forget, as a table and as curves over the number of rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, median

from recipes.benchmarks.learning.forgetting import ForgettingRecord
from recipes.benchmarks.learning.records import points
from recipes.report.drawing.curve import Curve, Series
from recipes.report.drawing.template import template

FOLDER = Path(__file__).parent
HEAD = (
    "| rows | how many | seeds | pass@1, less the RL policy | loss of right rollouts of RL, before and after |\n"
    "|---|---|---|---|---|"
)


def table(records: Sequence[ForgettingRecord]) -> str:
    """Markdown: differences in points with their 95% interval over runs and seeds, losses in nats a token."""
    return "\n".join([HEAD, *(_row(of) for of in _points(records).values())])


def _row(of: Sequence[ForgettingRecord]) -> str:
    before, after = fmean(one.replay_loss_before for one in of), fmean(one.replay_loss_after for one in of)
    cells = (
        of[0].source,
        f"{median(one.num_rows for one in of):,.0f}",
        str(len(of)),
        points([one.after - one.before for one in of]),
        f"{before:.3f}, {after:.3f}",
    )
    return f"| {' | '.join(cells)} |"


def _points(records: Sequence[ForgettingRecord]) -> dict[tuple[str, int], list[ForgettingRecord]]:
    """Records of one source and number, in the order of both."""
    found: dict[tuple[str, int], list[ForgettingRecord]] = {}
    for one in sorted(records, key=lambda one: (one.source, one.asked, one.run, one.seed)):
        found.setdefault((one.source, one.asked), []).append(one)
    return found


def page(records: Sequence[ForgettingRecord], title: str) -> str:
    """A self-contained HTML page: pass@1 and the loss of what RL had got right, by the number of rows."""
    curves = (skill(records), loss(records))
    html: str = template("page.html.j2", FOLDER).render(
        title=title, curves=curves, legend="Means over runs and seeds."
    )
    return html


def plot(records: Sequence[ForgettingRecord]) -> str:
    """Pass@1 by the number of rows as an SVG file."""
    svg: str = template("plot.svg.j2", FOLDER).render(curve=skill(records), width=1040, height=330)
    return svg


def skill(records: Sequence[ForgettingRecord]) -> Curve:
    """Held-out pass@1 after the SFT less that of the RL policy, means over runs and seeds."""
    return _by_rows(
        "Held-out pass@1 after an SFT, less that of the RL policy, by its rows",
        records,
        lambda one: one.after - one.before,
        is_frac=True,
    )


def loss(records: Sequence[ForgettingRecord]) -> Curve:
    """By how much right rollouts of RL became less likely."""
    return _by_rows(
        "Loss of right rollouts of the RL before, less what it was, nats a token",
        records,
        lambda one: one.replay_loss_after - one.replay_loss_before,
        is_frac=False,
    )


def _by_rows(
    title: str,
    records: Sequence[ForgettingRecord],
    figure: Callable[[ForgettingRecord], float],
    *,
    is_frac: bool,
) -> Curve:
    """A line a source over the number of rows asked for, on a logarithmic axis, and a dashed one at 0."""
    points = _points(records)
    numbers = sorted({asked for _, asked in points})
    lines = [
        Series(
            source,
            tuple(
                (math.log2(num), fmean(map(figure, of)))
                for (name, num), of in points.items()
                if name == source
            ),
            tone=tone,
        )
        for tone, source in enumerate(dict.fromkeys(source for source, _ in points), 1)
    ]
    ends = math.log2(numbers[0]), math.log2(numbers[-1])
    level = Series("the RL policy", tuple((end, 0.0) for end in ends), dashed=True)
    values = [0.0, *(value for line in lines for _, value in line.points)]
    labels = tuple((math.log2(num), f"{num:,}") for num in numbers)
    y_range = (min(values) - 0.01, max(values) + 0.01)
    return Curve(title, (*lines, level), x_labels=labels, y_range=y_range, is_frac=is_frac, end_labels=True)
