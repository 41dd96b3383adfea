"""The whole program: SFT, evaluate, RL, evaluate, harvest; and again with what was harvested."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rl.data.preference_pairs import trains_reward_model
from rl.engines.engines import Engines
from rl.experience.evaluation import gate_figure
from rl.experience.judge import REWARD_MODEL_LINK
from rl.recipe.recipe import Recipe
from rl.run.progress import ProgressDisplay
from rl.run.run_directory import RunDirectory
from rl.run.run_summary import write_summary
from rl.stages.critic import CriticStage
from rl.stages.evaluate import EvaluateStage
from rl.stages.harvest import HarvestStage, rows_file
from rl.stages.prepare import prepare
from rl.stages.reward_model import RewardStage
from rl.stages.rl import RlStage, uses_critic
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
        harvests: list[Path] = []
        num_harvested = 0
        critic: Path | None = None

        figures, policy = stage(EvaluateStage(0, after="start"), base)
        best, opponent = gate_figure(figures), stage.last_name
        for round_index in range(recipe.program.rounds):
            has_rows, needs_judge = (
                data.cold_start or harvests,
                trains_reward_model(recipe) and not round_index,
            )
            if has_rows:
                _, policy = stage(SftStage(round_index, base, harvests, num_harvested), policy)
            if needs_judge:
                trained, _ = stage(RewardStage(round_index, base), policy)
                point_to(run.path / REWARD_MODEL_LINK, run.path / trained["model"])
            if has_rows or needs_judge:
                stage(EvaluateStage(round_index, after="sft", opponent=opponent), policy)
                opponent = opponent if round_index else stage.last_name
            if uses_critic(recipe.rl) and recipe.critic.pretrain_steps:
                trained, _ = stage(CriticStage(round_index, base, critic), policy)
                critic = run.path / trained["critic"]
            trained, policy = stage(RlStage(round_index, base, critic), policy)
            critic = run.path / trained["critic"] if "critic" in trained else None
            figures, _ = stage(EvaluateStage(round_index, after="rl", opponent=opponent), policy)

            opponent = stage.last_name
            gain, best = gate_figure(figures) - best, max(best, gate_figure(figures))
            if gain < recipe.program.min_gain:
                display.note(
                    f"round {round_index} gained {100 * gain:+.1f} points, under program.min_gain: stopping; "
                    "the released policy stays that of the round before"
                )
                break
            point_to(run.path / "policy", policy.hub)
            if round_index + 1 == recipe.program.rounds and not recipe.program.harvest_after_last:
                break
            harvested, _ = stage(HarvestStage(round_index), policy)
            if not harvested["num_hard"]:
                display.note("no prompt is hard any more: the prompt pool is exhausted")
                break
            harvests += filter(None, [rows_file(run.path / "stages" / stage.last_name)])
            num_harvested += harvested["num_kept"]
            write_summary(run.path)
    return write_summary(run.path, "complete")
