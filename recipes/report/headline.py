"""The figures at the top of the page: pass@1 and the win rate, before and after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from recipes.report.record.rates import comparisons, pass_at_1, win_rate
from recipes.report.record.stage_label import evaluation_label
from rl.run.run_record import RunRecord
from verifiers.counted import counted

Json = dict[str, Any]


@dataclass(frozen=True)
class HeadlineFigure:
    """One rate of the cold start, and of the newest policy where that has been evaluated since."""

    name: str
    measured: str
    before: float
    before_label: str
    after: float | None = None
    after_label: str = ""

    @property
    def direction(self) -> str:
        """`rose`, `fell`, or nothing for a figure that stayed or has no later one."""
        if self.after is None or self.after == self.before:
            return ""
        return "rose" if self.after > self.before else "fell"

    @property
    def points(self) -> str:
        """The change in percentage points: +42.8."""
        return "" if self.after is None else f"{100 * (self.after - self.before):+.1f}"


def headline(run: RunRecord) -> list[HeadlineFigure]:
    """pass@1 where there are prompts with a verifier, the win rate where there are prompts without one."""
    figures = (
        _figure(run, "held-out pass@1", pass_at_1, _pass_words),
        _figure(run, "held-out win rate", win_rate, _win_words),
    )
    return [figure for figure in figures if figure is not None]


def _figure(
    run: RunRecord,
    name: str,
    rate: Callable[[Json], float | None],
    measured: Callable[[RunRecord, Json], str],
) -> HeadlineFigure | None:
    """The rate of the cold start and of the last evaluation, of those two that have it."""
    ends = [one for one in (run.cold_start, run.final) if one is not None]
    known = [(one, value) for one in ends if (value := rate(one)) is not None]
    if not known:
        return None
    (first, before), *rest = known
    figure = HeadlineFigure(
        name,
        measured(run, first),
        before,
        evaluation_label(first) + (" (cold start)" if first.get("after") == "sft" else ""),
    )
    if not rest:
        return figure
    ((last, after),) = rest
    return HeadlineFigure(name, figure.measured, before, figure.before_label, after, evaluation_label(last))


def _pass_words(run: RunRecord, evaluation: Json) -> str:
    """How pass@1 was taken, as far as the manifest and the recipe say."""
    num_prompts, num_samples = evaluation.get("num_prompts"), evaluation.get("samples_per_prompt")
    prompts = counted(num_prompts, "held-out prompt") if num_prompts else "held-out prompts"
    temperature = run.evaluation_setting("temperature")
    heat = f" at temperature {temperature:g}" if temperature is not None else ""
    samples = f", the mean of {counted(num_samples, 'response')} each{heat}" if num_samples else ""
    return f"pass@1 on {prompts}{samples}; a judge sees the final answer only."


def _win_words(run: RunRecord, evaluation: Json) -> str:
    """How the win rate was taken; a reader must know that the judge is the one RL was rewarded by."""
    num_prompts = (evaluation.get("general") or {}).get("num_prompts")
    prompts = counted(num_prompts, "held-out prompt") if num_prompts else "held-out prompts"
    part = comparisons(evaluation)
    num_failed = part.get("num_failed")
    failed = f" ({num_failed:,} not judged)" if num_failed else ""
    answers = counted(part.get("num_comparisons", 0), "answer")
    return (
        f"win rate of {answers}{failed} to {prompts} that no verifier judges, against "
        "the prompt's reference; 50% is parity. The judge is the reward model that RL is rewarded by."
    )
