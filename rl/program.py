"""The whole program: SFT, evaluate, RL, evaluate, harvest; and again with what was harvested.

A program of one's own is a function like ``rounds``; a recipe names it as ``program.function=package.module:function``.
"""

from __future__ import annotations

from typing import Any

from rl.algorithm.algorithm import algorithm_of
from rl.data.preference_pairs import trains_reward_model
from rl.engines.engines import Engines
from rl.recipe.recipe import Recipe
from rl.run.progress import ProgressDisplay
from rl.run.results.stage_result import HarvestResult
from rl.run.run_directory import RunDirectory
from rl.run.run_record import write_summary
from rl.runner import MakeEngines, Program, Runner, StageRunner, plan_of
from rl.stages.critic import CriticStage
from rl.stages.distill import DistillStage
from rl.stages.evaluate import EvaluateStage
from rl.stages.prepare import PrepareStage
from rl.stages.rl import RlStage
from rl.stages.sampled.caption import CaptionStage
from rl.stages.sampled.harvest import HarvestStage
from rl.stages.sampled.profile import ProfileStage
from rl.stages.supervised.reward_model import RewardStage
from rl.stages.supervised.sft import SftStage
from sampler.data.data_builder import named_function

__all__ = [
    "CaptionStage", "CriticStage", "DistillStage", "EvaluateStage", "HarvestStage", "PrepareStage", "ProfileStage",
    "Program", "RewardStage", "RlStage", "Runner", "SftStage", "program_of", "rounds", "run_program",
]  # fmt: skip


def rounds(run: Runner) -> None:
    """The recipe's rounds. A run executes this, a dry run follows it."""
    recipe = run.recipe
    prepared = run(PrepareStage())
    policy, harvests, critic = prepared.policy, list[HarvestResult](), None
    cold_started = policy
    best = opponent = start = run(EvaluateStage(after="start"), policy)
    kept = "no policy is released"

    for round_index in range(recipe.program.rounds):
        has_rows = bool(prepared.num_cold_start_rows or any(harvest.rows for harvest in harvests))
        needs_judge = trains_reward_model(recipe) and not round_index
        if has_rows:
            policy = run(SftStage(round_index, harvests, cold_started), policy).policy
            cold_started = policy if not round_index else cold_started
        if needs_judge:
            run(RewardStage(round_index), policy)
        if has_rows or needs_judge:
            evaluated = run(EvaluateStage(round_index, after="sft", opponent=opponent), policy)
            start = evaluated if start.after == "start" else start
            opponent = opponent if round_index else evaluated
        if algorithm_of(recipe.rl).needs_critic and recipe.critic.pretrain_steps:
            critic = run(CriticStage(round_index, critic), policy).critic
        trained = run(RlStage(round_index, critic), policy)
        policy, critic = trained.policy, trained.critic
        evaluated = opponent = run(
            EvaluateStage(round_index, after="rl", opponent=opponent, since=(best, start)), policy
        )

        gain = evaluated.gain_over(best)
        if gain and gain.high < recipe.program.min_gain:
            run.note(
                f"round {round_index} gained {gain.in_points} points over {best.stage}, under program.min_gain: "
                f"stopping; {kept}"
            )
            return
        if recipe.program.releases(evaluated.gate_figure, best.gate_figure):
            run.release(policy)
            kept = f"the released policy stays that of {policy.stage}"
        else:
            run.note(f"round {round_index} is not above {best.stage} (program.min_gain is set): {kept}")
        best = max(best, evaluated, key=lambda one: one.gate_figure)
        if round_index + 1 == recipe.program.rounds and not recipe.program.harvest_after_last:
            return
        harvest = run(HarvestStage(round_index), policy)
        if not harvest.num_hard:
            run.note("no prompt is hard: there is nothing to go on with")
            return
        harvests.append(harvest)


def program_of(recipe: Recipe) -> Program:
    """The one that the recipe names, else ``rounds``. Raises: BadInput where it is not there."""
    name = recipe.program.function
    return rounds if name is None else named_function("program.function", name)


def run_program(
    recipe: Recipe,
    run: RunDirectory,
    display: ProgressDisplay,
    program: Program | None = None,
    *,
    make_engines: MakeEngines = Engines,
) -> dict[str, Any]:
    """Run the recipe's program, or go on where an earlier process stopped. Returns the summary.

    Every stage leaves a manifest; a stage that has one is not run again, so the same call after a kill continues.
    """
    program = program or program_of(recipe)
    plan = plan_of(program, recipe, run)
    with StageRunner(recipe, run, display, plan=plan, make_engines=make_engines) as runner:
        program(runner)
    return write_summary(run.path, "complete")
