"""The figures at the top of the page: pass@1 and the win rate, before and after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from recipes.report.evaluation import Json, comparisons, evaluation_label, pass_at_1, win_rate
from rl.run.run_record import RunRecord
from verifiers.counted import counted


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
    ends = [one for one in (run.cold_start, run.final) if one is not None and rate(one) is not None]
    values = [value for one in ends if (value := rate(one)) is not None]
    if not ends:
        return None
    label = evaluation_label(ends[0]) + (" (cold start)" if ends[0].get("after") == "sft" else "")
    later = (values[1], evaluation_label(ends[1])) if ends[1:] else (None, "")
    return HeadlineFigure(name, measured(run, ends[0]), values[0], label, *later)


def _pass_words(run: RunRecord, evaluation: Json) -> str:
    """How pass@1 was taken, as far as the manifest and the recipe say."""
    num_samples, temperature = evaluation.get("samples_per_prompt"), run.evaluation_setting("temperature")
    heat = f" at temperature {temperature:g}" if temperature is not None else ""
    samples = f", the mean of {counted(num_samples, 'response')} each{heat}" if num_samples else ""
    return f"pass@1 on {_prompts(evaluation)}{samples}; a judge sees the final answer only."


def _win_words(run: RunRecord, evaluation: Json) -> str:
    """How the win rate was taken; a reader must know that the judge is the one RL was rewarded by."""
    part = comparisons(evaluation)
    failed = f" ({part['num_failed']:,} not judged)" if part.get("num_failed") else ""
    answers, prompts = (
        counted(part.get("num_comparisons", 0), "answer"),
        _prompts(evaluation.get("general") or {}),
    )
    return (
        f"win rate of {answers}{failed} to {prompts} that no verifier judges, against "
        "the prompt's reference; 50% is parity. The judge is the reward model that RL is rewarded by."
    )


def _prompts(figures: Json) -> str:
    num_prompts = figures.get("num_prompts")
    return counted(num_prompts, "held-out prompt") if num_prompts else "held-out prompts"
