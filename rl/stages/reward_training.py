"""The optimizer steps of a reward model, wherever it is trained: by a command of its own, or as a stage of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rl.recipe.judging_config import RewardTrainingConfig
from rl.run.progress import StageProgress
from rl.run.run_directory import RunDirectory, StageDirectory
from rl.run.stopwatch import Stopwatch
from rl.stages.preference_step import SCALAR_METRICS
from rl.stages.reward_objective import RewardObjective
from rl.stages.supervised_loop import step_calls, step_metrics
from rl.trainer.checkpoint import StageCheckpoint

if TYPE_CHECKING:
    from rl.trainer.trainer import Trainer


def num_reward_steps(config: RewardTrainingConfig, num_items: int) -> int:
    """Whole batches that cover the epochs."""
    return max(1, math.ceil(config.epochs * num_items / config.batch_size))


@dataclass
class RewardTraining:
    """An objective's steps, with a checkpoint to go on from inside ``stage``."""

    config: RewardTrainingConfig
    seed: int
    run: RunDirectory
    stage: StageDirectory
    trainer: Trainer
    progress: StageProgress
    watch: Stopwatch = field(default_factory=Stopwatch)
    round_index: int = 0

    def __post_init__(self) -> None:
        self.checkpoint = StageCheckpoint(self.stage, every_steps=self.config.checkpoint_every_steps)

    def fit(self, objective: RewardObjective, base: Path) -> float:
        """The steps that are left, several a call, from the policy at ``base``, which the trainer holds. Returns the
        last loss. ``checkpoint.finish`` is the caller's."""
        objective.begin(self.trainer, base)
        calls = step_calls(
            objective.draws(f"{self.seed} reward model"),
            num_steps=num_reward_steps(self.config, objective.num_items),
            batch_size=self.config.batch_size,
            schedule=self.config.schedule,
            trainer=self.trainer,
            checkpoint=self.checkpoint,
            progress=self.progress,
        )
        for call in calls:
            with self.watch("train"):
                outcomes = objective.steps(self.trainer, call.batches, call.rates)
            for step, rate, outcome in zip(call.steps, call.rates, outcomes, strict=True):
                self._log(step, rate, outcome)
            self.progress.advance(len(outcomes), loss=outcomes[-1]["loss"])
        return self.stage.metrics()[-1]["train/loss"]

    def _log(self, step: int, rate: float, outcome: Mapping[str, float]) -> None:
        of_scores = {f"reward_model/{name}": outcome[name] for name in SCALAR_METRICS if name in outcome}
        self.run.log_metrics(
            stage=self.stage.name,
            kind="reward-model",
            round_index=self.round_index,
            step=step,
            metrics=step_metrics(outcome, rate) | of_scores,
        )
