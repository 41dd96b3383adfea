"""Evaluating one policy outside a run: a sampler and a judge, no trainer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rl.experience.evaluation import evaluate
from rl.experience.judge import judge_of
from rl.experience.prompt_source import FixedSource
from rl.experience.source import ExperienceSource
from rl.families.checkpoint_check import forbidden_token_ids
from rl.families.family import load_family
from rl.recipe.recipe import Recipe
from rl.run.ray_session import ray_for
from sampler.prompt import Prompt
from sampler.rollout import SamplingPlan
from sampler.vllm_pool.pool import SamplerPool


def evaluate_policy(recipe: Recipe, hub: Path, prompts: Sequence[Prompt], log_dir: Path) -> dict[str, Any]:
    """The figures of ``evaluate`` for the checkpoint at ``hub``. Raises: HoneError when too little can be judged."""
    family, config = load_family(recipe.model.family), recipe.evaluation
    plan = SamplingPlan(
        num_samples=config.samples_per_prompt,
        max_response_tokens=recipe.rl.max_response_tokens,
        run_seed=recipe.seed,
        step=0,
        stage="eval",
        temperature=config.temperature,
        top_p=config.top_p,
        forbidden_token_ids=forbidden_token_ids(hub, family),
    )
    with (
        ray_for(recipe),
        judge_of(recipe.judging, family.thinking_tags, log_dir, run_path=Path(recipe.run_dir)) as judge,
        SamplerPool(hub, recipe.sampler, log_dir) as sampler,
    ):
        judge.check(prompts)
        chosen = FixedSource(prompts[: config.num_prompts])
        experience = next(ExperienceSource(sampler, judge, chosen, plan))
        return evaluate(experience.rollouts, pass_at=config.pass_at, pass_score=config.pass_score)
