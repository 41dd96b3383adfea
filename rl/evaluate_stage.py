"""Evaluation on prompts that are never trained on, before and after every training stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rl.evaluation import evaluate
from rl.rollout_log import write_rollouts
from rl.stage import Stage, StageContext


class EvaluateStage(Stage):
    """pass@1 as the mean of k samples, and pass@k; the same prompts and seeds' rule every time."""

    kind = "evaluate"
    label = "evaluate"

    def __init__(self, round_index: int, after: str) -> None:
        super().__init__(round_index)
        self.after = after

    def run(self, context: StageContext) -> dict[str, Any]:
        config, engines = context.recipe.evaluation, context.engines
        context.directory.begin()
        prompts = context.data.heldout[: config.num_prompts]
        engines.judge.check(prompts)
        plan = engines.plan(
            stage=context.directory.name,
            step=0,
            num_samples=config.samples_per_prompt,
            max_response_tokens=context.recipe.rl.max_response_tokens,
            temperature=config.temperature,
            top_p=config.top_p,
        )
        with context.watch("generate"):
            judged = engines.sample_and_judge(prompts, plan)
        context.watch.add("judge", judged.wait_s)
        context.watch.add("generate", -judged.wait_s)
        engines.judge.require_judged(judged.rollouts)
        write_rollouts(
            context.directory.rollouts,
            judged.rollouts,
            stage=context.directory.name,
            round_index=self.round_index,
            step=0,
        )
        assert engines.sampler.stats is not None
        figures = evaluate(judged.rollouts, pass_at=config.pass_at, pass_score=config.pass_score)
        return {
            **figures,
            "policy_version": context.policy.version,
            "after": self.after,
            "num_dropped_prompts": len(engines.sampler.stats.dropped),
            "tokens_per_s": engines.sampler.stats.response_tokens_per_s,
        }

    def words(self, result: Mapping[str, Any]) -> str:
        return f"pass@1 {100 * result['pass_at_1']:.1f}%"
