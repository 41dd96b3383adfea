"""What an evaluation leaves: the held-out figures of one policy, and how they differ from those of one before."""

from __future__ import annotations

from pydantic import Field
from pydantic.dataclasses import dataclass

from rl.run.results.stage_result import Figures, Interval, StageResult


@dataclass(frozen=True)
class ExamChange:
    """How a policy's held-out results differ from those of one before. ``gain`` is of all prompts that a verifier
    judges, or without such a prompt of those that a reward model does.

    The intervals of ``by_type`` hold all together at the level of one (Bonferroni), so that among many question types
    one does not seem to fall by chance."""

    gain: Interval | None
    by_type: dict[str, Interval]

    @property
    def fell(self) -> dict[str, Interval]:
        """The question types that fell beyond noise."""
        return {name: change for name, change in self.by_type.items() if change.high < 0}


class EvaluationResult(StageResult):
    """Held-out figures of one policy; see ``rl.experience.exams.evaluation.evaluate``."""

    kind = "evaluate"
    policy_version: int = 0
    after: str = ""
    num_prompts: int = 0
    samples_per_prompt: int = 0
    pass_at_1: float = 0.0
    pass_at_1_interval: Interval | None = None
    pass_at_k: dict[str, float] = Field({})
    pass_at_k_interval: dict[str, Interval | None] = Field({})
    by_tag: Figures = Field({})
    by_verifier: Figures = Field({})
    by_kind: Figures = Field({})
    general: Figures = Field({})
    answer_status: dict[str, float] = Field({})
    unjudged_frac: float = 0.0
    response_tokens_mean: float = 0.0
    surprisal_mean: float = float("nan")
    scripts: dict[str, float] = Field({})
    changes: dict[str, ExamChange] = Field({})  # by the stage of the evaluation before
    num_dropped_prompts: int = 0
    tokens_per_s: float = 0.0

    @property
    def gate_figure(self) -> float:
        """What a round must gain in: pass@1, or without a prompt that a verifier judges the win rate."""
        if self.num_prompts or not self.general.get("num_prompts"):
            return self.pass_at_1
        return float(self.general["against_reference"]["win_rate"] or 0.0)

    def gain_over(self, before: EvaluationResult) -> Interval | None:
        """Of that figure, paired by prompt; None where the two were not compared, or on fewer than two prompts."""
        change = self.changes.get(before.stage)
        return change.gain if change else None
