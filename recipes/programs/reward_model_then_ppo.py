"""A reward model, a critic that knows the returns, then PPO, all from the checkpoint at `model.path`.
`hone run RECIPE program.function=recipes.programs.reward_model_then_ppo:program`
"""

from __future__ import annotations

from rl.program import CriticStage, EvaluateStage, PrepareStage, RewardStage, RlStage, Runner


def program(run: Runner) -> None:
    policy = run(PrepareStage()).policy
    run(RewardStage(), policy)  # from here on it judges prompts that no rule can judge
    before = run(EvaluateStage(after="start"), policy)
    critic = run(CriticStage(), policy).critic
    trained = run(RlStage(critic=critic), policy)
    run(EvaluateStage(after="rl", opponent=before), trained.policy)
    run.release(trained.policy)
