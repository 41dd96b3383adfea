"""An ablation as a page: a dot a seed, the medians, and the curves of the reward; and as a table for a document."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, median

from recipes.benchmarks.learning.ablation.ablation import ARMS, Ablation, AblationRun
from recipes.benchmarks.learning.dots import dots
from recipes.report.drawing.curve import Curve, Series, percent
from recipes.report.drawing.template import template

FOLDER = Path(__file__).parents[1]

Figure = Callable[[AblationRun], float]


def table(ablation: Ablation) -> str:
    """Markdown: medians over the seeds, lowest and highest in brackets."""
    before = (_spread(figures) for figures in zip(*ablation.start.values(), strict=True))
    lines = [
        "| arm | pass@1 | win rate | training s a step |",
        "|---|---|---|---|",
        f"| before RL | {' | '.join(before)} | |",
    ]
    for arm in ARMS:
        runs = ablation.of(arm)
        after = f"{_spread([run.pass_at_1 for run in runs])} | {_spread([run.win_rate for run in runs])}"
        lines.append(f"| {arm} | {after} | {median(run.train_s for run in runs):.2f} |")
    return "\n".join(lines)


def page(ablation: Ablation, title: str) -> str:
    """A self-contained HTML page."""
    pass_at_1, win_rate = zip(*ablation.start.values(), strict=True)
    curves = (
        _dots("Held-out pass@1 after RL", ablation, lambda run: run.pass_at_1, pass_at_1),
        _dots(
            "Held-out win rate against the references after RL", ablation, lambda run: run.win_rate, win_rate
        ),
        _rewards(ablation),
    )
    html: str = template("page.html.j2", FOLDER).render(title=title, curves=curves)
    return html


def _dots(title: str, ablation: Ablation, figure: Figure, start: Sequence[float]) -> Curve:
    figures = {_short(arm): {f"seed {run.seed}": figure(run) for run in ablation.of(arm)} for arm in ARMS}
    return dots(title, figures, ("before RL", median(start)))


def _rewards(ablation: Ablation) -> Curve:
    """The median over seeds of each step's mean reward, smoothed over five steps."""
    lines = []
    for tone, arm in enumerate(ARMS):
        steps = [median(one) for one in zip(*(run.rewards for run in ablation.of(arm)), strict=True)]
        points = tuple((float(x), fmean(steps[max(0, x - 2) : x + 3])) for x in range(len(steps)))
        lines.append(Series(_short(arm), points, tone=tone, bold=tone == 0))
    values = [y for line in lines for _, y in line.points]
    y_range = (max(0.0, min(values) - 0.02), max(values) + 0.02)
    title = "Mean reward of a step, median of the seeds"
    return Curve(title, tuple(lines), y_range=y_range, end_labels=True)


def _short(arm: str) -> str:
    return arm.replace("the reward model", "RM")


def _spread(values: Sequence[float]) -> str:
    return f"{percent(median(values))} ({percent(min(values))} to {percent(max(values))})"
