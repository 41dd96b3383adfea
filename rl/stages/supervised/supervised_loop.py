"""Training over items drawn epoch after epoch: which steps go to the ranks in one call, and where it goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Generic, TypeVar

from rl.recipe.trainer_config import ScheduleConfig
from rl.run.progress import StageProgress
from rl.stages.checkpoint import Resumable, StageCheckpoint

if TYPE_CHECKING:
    from rl.trainer.trainer import Trainer

STEPS_PER_CALL = 8  # optimizer steps sent to the ranks at a time

ItemT = TypeVar("ItemT")


@dataclass(frozen=True)
class StepCall(Generic[ItemT]):
    """Consecutive optimizer steps: their numbers, the items of each, and their learning rates."""

    steps: range
    batches: list[list[ItemT]]
    rates: list[float]


def step_calls(
    draws: Iterator[ItemT],
    *,
    num_steps: int,
    batch_size: int,
    schedule: ScheduleConfig,
    trainer: Trainer,
    checkpoint: StageCheckpoint,
    progress: StageProgress,
    source: Resumable | None = None,
    every_steps: int | None = None,
) -> Iterator[StepCall[ItemT]]:
    """The steps that are left of ``num_steps``, of ``batch_size`` items each; ``draws`` has items without end.

    The checkpoint, if there is one, is loaded before the first call. One that is due is saved when the next call is
    asked for, with the state of ``source``: the caller has by then taken and logged the steps. A call ends where
    ``every_steps`` are reached, so that something can be done there.
    """
    step = checkpoint.resume(trainer, source)
    progress.advance(step)
    for _ in islice(draws, step * batch_size):
        pass
    while step < num_steps:
        stop = num_steps if every_steps is None else (step // every_steps + 1) * every_steps
        end = min(num_steps, step + STEPS_PER_CALL, checkpoint.stop_before(step) or num_steps, stop)
        steps = range(step, end)
        batches = [list(islice(draws, batch_size)) for _ in steps]
        rates = [schedule.rate(i, num_steps) for i in steps]
        yield StepCall(steps, batches, rates)
        checkpoint.save(trainer, end, source)
        step = end


def step_metrics(outcome: Mapping[str, float], rate: float) -> dict[str, float]:
    """What every kind of training logs of a step, from what the trainer returned for it."""
    return {
        "train/loss": outcome["loss"],
        "train/grad_norm": outcome["grad_norm"],
        "train/lr": rate,
        "time/train_s": outcome["seconds"],
    }
