"""The whole program: SFT, evaluate, RL, evaluate, harvest; and again with what was harvested."""

from __future__ import annotations

from typing import Any

from rl.algorithm.algorithm import algorithm_of
from rl.data.preference_pairs import trains_reward_model
from rl.engines.engines import Engines
from rl.experience.judge import REWARD_MODEL_LINK
from rl.recipe.recipe import Recipe
from rl.run.progress import ProgressDisplay
from rl.run.run_directory import RunDirectory
from rl.run.run_summary import write_summary
from rl.run.stage_result import HarvestResult
from rl.stages.critic import CriticStage
from rl.stages.evaluate import EvaluateStage
from rl.stages.harvest import HarvestStage
from rl.stages.prepare import prepare
from rl.stages.reward_model import RewardStage
from rl.stages.rl import RlStage
from rl.stages.sft import SftStage
from rl.stages.stage import StageRunner
from sampler.atomic_file import point_to


def run_program(recipe: Recipe, run: RunDirectory, display: ProgressDisplay) -> dict[str, Any]:
    """Run the recipe's rounds, or go on where an earlier process stopped. Returns the summary.

    Every stage leaves a manifest; a stage that has one is not run again, so the same call after a kill continues.
    """
    data, base = prepare(recipe, run, display)
    with Engines(recipe, base, run.logs, probe=data.heldout, run_path=run.path) as engines:
        stage = StageRunner(recipe, run, engines, data, display)
        policy, harvests, critic = base, list[HarvestResult](), None

        evaluated = stage(EvaluateStage(0, after="start"), policy)
        best, opponent = evaluated.gate_figure, evaluated.stage
        for round_index in range(recipe.program.rounds):
            has_rows = bool(data.cold_start or any(harvest.rows for harvest in harvests))
            needs_judge = trains_reward_model(recipe) and not round_index
            if has_rows:
                policy = stage(SftStage(round_index, base, harvests), policy).policy
            if needs_judge:
                model = stage(RewardStage(round_index, base), policy).model
                assert model is not None
                point_to(run.path / REWARD_MODEL_LINK, model)
            if has_rows or needs_judge:
                evaluated = stage(EvaluateStage(round_index, after="sft", opponent=opponent), policy)
                opponent = opponent if round_index else evaluated.stage
            if algorithm_of(recipe.rl).needs_critic and recipe.critic.pretrain_steps:
                critic = stage(CriticStage(round_index, base, critic), policy).critic
            trained = stage(RlStage(round_index, base, critic), policy)
            policy, critic = trained.policy, trained.critic
            evaluated = stage(EvaluateStage(round_index, after="rl", opponent=opponent), policy)

            opponent = evaluated.stage
            gain, best = evaluated.gate_figure - best, max(best, evaluated.gate_figure)
            if gain < recipe.program.min_gain:
                display.note(
                    f"round {round_index} gained {100 * gain:+.1f} points, under program.min_gain: stopping; "
                    "the released policy stays that of the round before"
                )
                break
            point_to(run.path / "policy", policy.hub)
            if round_index + 1 == recipe.program.rounds and not recipe.program.harvest_after_last:
                break
            harvest = stage(HarvestStage(round_index), policy)
            if not harvest.num_hard:
                display.note("no prompt is hard any more: the prompt pool is exhausted")
                break
            harvests.append(harvest)
            write_summary(run.path)
    return write_summary(run.path, "complete")
