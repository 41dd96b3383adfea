"""One more round of RL for a policy that RL has trained before, on prompts that were chosen since.
`hone run RECIPE program.function=recipes.programs.next_round:program model.path=POLICY data.builder=null
data.train_prompts=CHOSEN data.heldout_prompts=HELDOUT`

As a later round of a run: `rl.later_lr` is its rate, and with `program.min_gain` a policy that is not better is not
released.
"""

from __future__ import annotations

from rl.algorithm.algorithm import algorithm_of
from rl.program import CriticStage, EvaluateStage, PrepareStage, RlStage, Runner


def program(run: Runner) -> None:
    """Evaluate, RL, evaluate; the policy is released as `program.min_gain` says."""
    recipe, policy = run.recipe, run(PrepareStage()).policy
    before = run(EvaluateStage(after="start"), policy)
    needs_critic = algorithm_of(recipe.rl).needs_critic and recipe.critic.pretrain_steps
    critic = run(CriticStage(1), policy).critic if needs_critic else None
    trained = run(RlStage(1, critic), policy)
    after = run(EvaluateStage(1, after="rl", opponent=before), trained.policy)
    gain = after.gain_over(before)
    lost = gain and gain.high < recipe.program.min_gain
    if not lost and recipe.program.releases(after.gate_figure, before.gate_figure):
        run.release(trained.policy)
    else:
        points = gain.in_points if gain else f"{100 * (after.gate_figure - before.gate_figure):+.1f}"
        run.note(
            f"the round gained {points} points and program.min_gain is set: nothing is released, go on with the policy "
            "that it began from"
        )
