"""A program: SFT, RL, and the later SFT that learns from what RL left."""

from rl.program import PrepareStage, RlStage, Runner, SftStage


def program(run: Runner) -> None:
    """Nothing is evaluated."""
    first = run(SftStage(), run(PrepareStage()).policy).policy
    run(SftStage(1, cold_started=first), run(RlStage(), first).policy)
