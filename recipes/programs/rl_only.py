"""RL from the checkpoint at `model.path`. `hone run RECIPE program.function=recipes.programs.rl_only:program`"""

from __future__ import annotations

from rl.program import EvaluateStage, PrepareStage, RlStage, Runner


def program(run: Runner) -> None:
    policy = run(PrepareStage()).policy
    before = run(EvaluateStage(after="start"), policy)
    trained = run(RlStage(), policy)
    run(EvaluateStage(after="rl", opponent=before), trained.policy)
    run.release(trained.policy)
