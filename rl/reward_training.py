"""The optimizer steps of a reward model, wherever it is trained: by a command of its own, or as a stage of a run."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from rl.checkpoint import StageCheckpoint
from rl.judging_recipe import RewardTrainingConfig
from rl.preference_step import SCALAR_METRICS
from rl.progress import StageProgress
from rl.reward_objective import RewardObjective
from rl.run_directory import RunDirectory, StageDirectory
from rl.schedule import learning_rate
from rl.stopwatch import Stopwatch

if TYPE_CHECKING:
    from rl.trainer import Trainer

STEPS_PER_CALL = 8  # optimizer steps sent to the ranks at a time


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
        config, trainer = self.config, self.trainer
        num_steps = num_reward_steps(config, objective.num_items)
        objective.begin(trainer, base)
        step = self.checkpoint.resume(trainer)
        self.progress.advance(step)
        draws = objective.draws(f"{self.seed} reward model")
        for _ in islice(draws, step * config.batch_size):
            pass
        loss = float("nan")
        while step < num_steps:
            end = min(num_steps, step + STEPS_PER_CALL, self.checkpoint.stop_before(step) or num_steps)
            with self.watch("train"):
                batches = [list(islice(draws, config.batch_size)) for _ in range(step, end)]
                rates = [
                    learning_rate(i, num_steps=num_steps, **config.schedule.model_dump())
                    for i in range(step, end)
                ]
                outcomes = objective.steps(trainer, batches, rates)
            for rate, metrics in zip(rates, outcomes, strict=True):
                loss = metrics["loss"]
                self._log(step, rate, metrics)
                step += 1
            self.progress.advance(len(batches), loss=loss)
            self.checkpoint.save(trainer, step)
        return loss

    def _log(self, step: int, rate: float, metrics: dict[str, float]) -> None:
        self.run.log_metrics(
            stage=self.stage.name,
            kind="reward-model",
            round_index=self.round_index,
            step=step,
            metrics={
                "train/loss": metrics["loss"],
                "train/grad_norm": metrics["grad_norm"],
                "train/lr": rate,
                "time/train_s": metrics["seconds"],
            }
            | {f"reward_model/{name}": metrics[name] for name in SCALAR_METRICS if name in metrics},
        )
