"""Supervised fine-tuning and nothing else. `hone run RECIPE program.function=recipes.programs.sft_only:program`"""

from __future__ import annotations

from rl.program import EvaluateStage, PrepareStage, Runner, SftStage


def program(run: Runner) -> None:
    prepared = run(PrepareStage())
    trained = run(SftStage(), prepared.policy)
    run(EvaluateStage(after="sft"), trained.policy)
    run.release(trained.policy)
