"""The same prompts with the same random numbers for one policy after the other: what `hone eval` runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rl.program import EvaluateStage, Runner
from rl.run.results.evaluation_result import EvaluationResult
from rl.run.results.stage_result import PolicyState

STREAM = "eval"  # of random numbers


def evaluate_policies(run: Runner, checkpoints: Sequence[Path]) -> list[EvaluationResult]:
    """Each against the one before it, too. The run's data must be there."""
    results: list[EvaluationResult] = []
    for version, hub in enumerate(checkpoints):
        opponent = results[-1] if results else None
        stage = EvaluateStage(after=hub.name, opponent=opponent, stream=STREAM)
        results.append(run(stage, PolicyState(version, hub, hub.name)))
    return results
