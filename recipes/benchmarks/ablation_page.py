"""An ablation as a page: a dot a seed, the medians, and the curves of the reward; and as a table for a document."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from markupsafe import escape

from recipes.benchmarks.ablation import ARMS, Ablation, AblationRun
from recipes.report.charts.axis import percent, whole_percent
from recipes.report.charts.curve import Curve, Series

Figure = Callable[[AblationRun], float]
CSS = Path(__file__).parents[1] / "report" / "page.css"


def table(ablation: Ablation) -> str:
    """Markdown: medians over the seeds, lowest and highest in brackets."""
    starts = list(ablation.start.values())
    lines = [
        "| arm | pass@1 | win rate | training s a step |",
        "|---|---|---|---|",
        f"| before RL | {_spread([p for p, _ in starts])} | {_spread([w for _, w in starts])} | |",
    ]
    for arm in ARMS:
        runs = ablation.of(arm)
        seconds = median(run.train_s for run in runs)
        lines.append(
            f"| {arm} | {_spread([run.pass_at_1 for run in runs])} | {_spread([run.win_rate for run in runs])} "
            f"| {seconds:.2f} |"
        )
    return "\n".join(lines)


def page(ablation: Ablation, title: str) -> str:
    """A self-contained HTML page."""
    charts = [
        _dots(
            "Held-out pass@1 after RL",
            ablation,
            lambda run: run.pass_at_1,
            [pass_at_1 for pass_at_1, _ in ablation.start.values()],
        ),
        _dots(
            "Held-out win rate against the references after RL",
            ablation,
            lambda run: run.win_rate,
            [win_rate for _, win_rate in ablation.start.values()],
        ),
        _rewards(ablation),
    ]
    legends = "".join(
        f'<figure class="panel"><h3>{escape(chart.title)}</h3>{chart.svg(1040, 330)}</figure>'
        for chart in charts
    )
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{CSS.read_text()}</style></head><body><main><h1>{escape(title)}</h1>"
        f'<p class="sub">A small dot a seed, a large one their median.</p>{legends}</main></body></html>'
    )


def _dots(title: str, ablation: Ablation, figure: Figure, start: Sequence[float]) -> Curve:
    """A small dot a seed, a large one for the median, and where all of them began as a dashed line."""
    before, arms = median(start), list(enumerate(ARMS))
    seeds = [
        Series(f"seed {seed}", ((float(x), figure(run)),), tone=1, dots=True)
        for x, arm in arms
        for seed, run in zip(sorted(ablation.start), ablation.of(arm), strict=True)
    ]
    medians = [
        Series("median", ((float(x), median(map(figure, ablation.of(arm)))),), bold=True) for x, arm in arms
    ]
    line = Series("before RL", ((-0.5, before), (len(arms) - 0.5, before)), tone=2, dashed=True)
    values = [before, *map(figure, ablation.runs)]
    return Curve(
        f"{title} (dashed: before RL)",
        (line, *seeds, *medians),
        x_labels=tuple((float(x), _short(arm)) for x, arm in arms),
        y_range=(max(0.0, min(values) - 0.02), min(1.0, max(values) + 0.02)),
        number=percent,
        tick_number=whole_percent,
    )


def _rewards(ablation: Ablation) -> Curve:
    """The median over seeds of each step's mean reward, smoothed over five steps."""
    lines = []
    for tone, arm in enumerate(ARMS):
        steps = [median(one) for one in zip(*(run.rewards for run in ablation.of(arm)), strict=True)]
        points = tuple((float(x), _mean(steps[max(0, x - 2) : x + 3])) for x in range(len(steps)))
        lines.append(Series(_short(arm), points, tone=tone, bold=tone == 0))
    values = [y for line in lines for _, y in line.points]
    return Curve(
        "Mean reward of a step, median of the seeds",
        tuple(lines),
        y_range=(max(0.0, min(values) - 0.02), max(values) + 0.02),
        end_labels=True,
    )


def _short(arm: str) -> str:
    return arm.replace("the reward model", "RM")


def _spread(values: list[float]) -> str:
    return f"{percent(median(values))} ({percent(min(values))} to {percent(max(values))})"


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
