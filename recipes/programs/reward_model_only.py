"""A reward model and nothing else: what `hone reward-model train` runs."""

from __future__ import annotations

from rl.program import PrepareStage, RewardStage, Runner


def program(run: Runner) -> None:
    base = run(PrepareStage()).policy
    run(RewardStage(keeps_trainer=False), base)
