"""Evaluation on prompts that are never trained on, before and after every training stage."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from rl.experience.exams.evaluation import against_answers, evaluate, win_rate
from rl.experience.exams.exam import exam_change, read_exam
from rl.experience.judge import JudgedRollout
from rl.experience.rollout_log import read_answers
from rl.experience.step_metrics import every_response_cut
from rl.recipe.recipe import Recipe
from rl.run.results.evaluation_result import EvaluationResult, ExamChange
from rl.run.results.stage_result import PolicyState
from rl.run.stage_directory import StageDirectory
from rl.stages.stage import Stage, StageContext
from verifiers.counted import counted


class EvaluateStage(Stage[EvaluationResult]):
    """pass@1 as the mean of k samples, pass@k, and win rates; the same prompts and seeds' rule every time.

    ``opponent`` is the evaluation of an earlier policy, whose answers to general prompts these are compared with. What
    changed since, and since the evaluations of ``since``, is told beyond noise; a question type that fell since the
    opponent's is warned of.
    """

    leaves = EvaluationResult
    label = "evaluate"
    needs = ("sampler", "judge")

    def __init__(
        self,
        round_index: int = 0,
        *,
        after: str = "start",
        opponent: EvaluationResult | None = None,
        since: Collection[EvaluationResult] = (),
        stream: str | None = None,
    ) -> None:
        """``after``: what came before it. ``stream`` of random numbers; none: one of its own."""
        super().__init__(round_index)
        self.after = after
        self.opponent = opponent
        self.compared = sorted({one.stage for one in (opponent, *since) if one is not None})
        self.stream = stream

    def work(self, recipe: Recipe) -> str:
        num, samples = recipe.evaluation.num_prompts, recipe.evaluation.samples_per_prompt
        prompts = "all held-out prompts" if num is None else counted(num, "held-out prompt")
        return f"{prompts} x {counted(samples, 'sample')}"

    def expected(
        self, recipe: Recipe, directory: StageDirectory, policy: PolicyState | None
    ) -> EvaluationResult:
        return EvaluationResult(after=self.after, pass_at_1=math.nan)

    def inputs(self) -> Mapping[str, Any]:
        return {"opponent": self.opponent.stage if self.opponent else None, "compared": self.compared}

    def run(self, context: StageContext) -> EvaluationResult:
        """Sample the held-out prompts, judge, compare. Before there is a reward model, general prompts wait for it."""
        config, judge = context.recipe.evaluation, context.engines.judge
        context.directory.begin()
        prompts = [one for one in context.data.heldout[: config.num_prompts] if judge.can_judge(one)]
        judge.check(prompts)
        experience = context.sample(
            prompts,
            stage=self.stream,
            num_samples=config.samples_per_prompt,
            temperature=config.temperature,
            top_p=config.top_p,
        )
        context.log_rollouts(0, experience.rollouts)
        figures = evaluate(experience.rollouts, pass_at=config.pass_at, pass_score=config.pass_score)
        with context.watch("compare"):
            figures["general"] |= self._against_opponent(context, experience.rollouts)
            changes = self._changes(context)
        return EvaluationResult(
            **figures,
            changes=changes,
            policy_version=context.policy.version,
            after=self.after,
            num_dropped_prompts=len(experience.stats.dropped),
            tokens_per_s=experience.stats.response_tokens_per_s,
            warnings=(
                *(
                    [every_response_cut(context.recipe.rl.max_response_tokens)]
                    if figures["answer_status"].get("truncated") == 1
                    else []
                ),
                *self._regressions(changes),
            ),
        )

    def _changes(self, context: StageContext) -> dict[str, ExamChange]:
        """From the earlier evaluations to this one, prompt by prompt as the rollout log has them."""
        logs, pass_score = context.run.path / "rollouts", context.recipe.evaluation.pass_score
        after = read_exam(context.directory.rollouts, pass_score)
        return {stage: exam_change(read_exam(logs / stage, pass_score), after) for stage in self.compared}

    def _regressions(self, changes: Mapping[str, ExamChange]) -> list[str]:
        """A line for each question type that fell beyond noise since the opponent's evaluation."""
        change = changes.get(self.opponent.stage) if self.opponent else None
        return (
            [
                f"{name} fell since {self.opponent.stage}: {one.in_points} points"
                for name, one in change.fell.items()
            ]
            if self.opponent and change
            else []
        )

    def _against_opponent(self, context: StageContext, judged: Sequence[JudgedRollout]) -> dict[str, Any]:
        """The win rate against the earlier policy; nothing where that answered no general prompt."""
        if self.opponent is None:
            return {}
        comparisons = against_answers(
            judged, read_answers(context.run.path / "rollouts" / self.opponent.stage)
        )
        if not comparisons:
            return {}
        scores = context.engines.judge.compare(comparisons)
        return {"against_previous": {"opponent": self.opponent.stage, **win_rate(scores)}}

    def summary(self, result: EvaluationResult) -> str:
        summary = [f"pass@1 {result.pass_at_1:.1%}"] if result.num_prompts else []
        if self.opponent and (gain := result.gain_over(self.opponent)):
            summary.append(f"{gain.in_points} points since {self.opponent.stage}")
        for name, opponent in (
            ("against_reference", "references"),
            ("against_previous", "the policy before"),
        ):
            if (rate := result.general.get(name, {}).get("win_rate")) is not None:
                summary.append(f"win rate {rate:.1%} against {opponent}")
        return ", ".join(summary) or "nothing could be judged"
