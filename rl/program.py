"""The whole program: SFT, evaluate, RL, evaluate, collect; and again with what was collected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rl.collect_stage import CollectStage, rows_file
from rl.critic_stage import CriticStage
from rl.engines import Engines
from rl.evaluate_stage import EvaluateStage
from rl.policy_state import PolicyState
from rl.progress import ProgressDisplay
from rl.recipe import Recipe
from rl.rl_stage import RlStage, uses_critic
from rl.run_data import prepare
from rl.run_directory import RunDirectory
from rl.run_summary import write_summary
from rl.sft_stage import SftStage
from rl.stage import StageRunner


def run_program(recipe: Recipe, run: RunDirectory, display: ProgressDisplay) -> dict[str, Any]:
    """Run the recipe's rounds, or go on where an earlier process stopped. Returns the summary.

    Every stage leaves a manifest; a stage that has one is not run again, so the same call after a kill continues.
    """
    data, base = prepare(recipe, run, display)
    with Engines(recipe, base, run.logs, probe=data.heldout) as engines:
        stage = StageRunner(recipe, run, engines, data, display)
        harvests: list[Path] = []
        num_harvested = 0
        critic: Path | None = None

        figures, policy = stage(EvaluateStage(0, after="start"), base)
        best = figures["pass_at_1"]
        for round_index in range(recipe.program.rounds):
            if data.cold_start or harvests:
                _, policy = stage(SftStage(round_index, base, harvests, num_harvested), policy)
                stage(EvaluateStage(round_index, after="sft"), policy)
            if uses_critic(recipe.rl) and recipe.critic.pretrain_steps:
                trained, _ = stage(CriticStage(round_index, base, critic), policy)
                critic = run.path / trained["critic"]
            trained, policy = stage(RlStage(round_index, base, critic), policy)
            critic = run.path / trained["critic"] if "critic" in trained else None
            figures, _ = stage(EvaluateStage(round_index, after="rl"), policy)

            gain, best = figures["pass_at_1"] - best, max(best, figures["pass_at_1"])
            if gain < recipe.program.min_gain:
                display.note(
                    f"round {round_index} gained {100 * gain:+.1f} points, under program.min_gain: stopping; "
                    "the released policy stays that of the round before"
                )
                break
            release(run, policy)
            if round_index + 1 == recipe.program.rounds and not recipe.program.collect_after_last:
                break
            collected, _ = stage(CollectStage(round_index), policy)
            if not collected["num_hard"]:
                display.note("no prompt is hard any more: the prompt pool is exhausted")
                break
            harvests += filter(None, [rows_file(run.path / "stages" / stage.last_name)])
            num_harvested += collected["num_kept"]
            write_summary(run.path)
    return write_summary(run.path, "complete")


def release(run: RunDirectory, policy: PolicyState) -> None:
    """Point ``RUN/policy`` at the newest policy that passed the gate."""
    link, temporary = run.path / "policy", run.path / ".policy.tmp"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(policy.hub.relative_to(run.path))
    temporary.replace(link)
