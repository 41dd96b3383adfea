"""The policy at `model.path` learns from the teachers of `distillation.teachers` on its own rollouts.
`hone run RECIPE program.function=recipes.programs.distill:program model.path=STUDENT distillation.teachers.all=TEACHER`
"""

from __future__ import annotations

from rl.program import DistillStage, EvaluateStage, PrepareStage, RlStage, Runner, SftStage


def program(run: Runner) -> None:
    student = run(PrepareStage()).policy
    before = run(EvaluateStage(after="start"), student)
    taught = run(DistillStage(), student)
    run(EvaluateStage(after="distillation", opponent=before), taught.policy)
    run.release(taught.policy)


def after_rl(run: Runner) -> None:
    """The policy after SFT learns from the one that RL made of it: a teacher of the run's own."""
    start = run(PrepareStage()).policy
    student = run(SftStage(), start).policy
    teacher = run(RlStage(), student).policy
    run(EvaluateStage(after="rl"), teacher)
    taught = run(DistillStage(teachers=teacher), student).policy
    run(EvaluateStage(after="distillation"), taught)
    run.release(taught)
