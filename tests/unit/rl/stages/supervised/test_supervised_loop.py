"""Steps by the call: nothing is skipped or taken twice, with checkpoints and after a kill."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any, cast

import pytest

from rl.recipe.trainer_config import ScheduleConfig
from rl.run.progress import StageProgress
from rl.run.run_directory import RunDirectory
from rl.run.stopwatch import Stopwatch
from rl.stages.checkpoint import StageCheckpoint
from rl.stages.supervised.supervised_loop import STEPS_PER_CALL, StepCall, step_calls
from rl.trainer.trainer import Trainer

NUM_STEPS, BATCH_SIZE = 21, 3
SCHEDULE = ScheduleConfig(lr=1e-3)


class SavingTrainer:
    """Has nothing but checkpoints, which it leaves as empty folders."""

    def save_checkpoint(self, path: Path) -> None:
        path.mkdir()

    def load_checkpoint(self, path: Path) -> None:
        assert path.is_dir()


def calls(
    folder: Path, every_steps: int | None, num_calls: int | None = None, call_every: int | None = None
) -> list[StepCall[int]]:
    """Of items 0, 1, 2, ...: all that are left, or `num_calls` before a kill."""
    run = RunDirectory(folder)
    run.open("x: 1\n")
    left = step_calls(
        itertools.count(),
        num_steps=NUM_STEPS,
        batch_size=BATCH_SIZE,
        schedule=SCHEDULE,
        trainer=cast(Trainer, cast(Any, SavingTrainer())),
        checkpoint=StageCheckpoint(run.stage("01-x"), Stopwatch(), every_steps=every_steps),
        progress=StageProgress("x", NUM_STEPS, 0, time.monotonic),
        every_steps=call_every,
    )
    taken = list(itertools.islice(left, num_calls))
    run.close()
    return taken


def steps_of(taken: list[StepCall[int]]) -> list[int]:
    return [step for call in taken for step in call.steps]


def test_every_step_has_its_items_and_rate(tmp_path: Path) -> None:
    taken = calls(tmp_path, None)
    assert [len(call.steps) for call in taken] == [STEPS_PER_CALL, STEPS_PER_CALL, 5]
    assert steps_of(taken) == list(range(NUM_STEPS))
    for call in taken:
        assert call.batches == [
            list(range(BATCH_SIZE * step, BATCH_SIZE * (step + 1))) for step in call.steps
        ]
        assert call.rates == [SCHEDULE.rate(step, NUM_STEPS) for step in call.steps]


def test_no_call_goes_past_a_checkpoint(tmp_path: Path) -> None:
    taken = calls(tmp_path, 5)
    assert [list(call.steps)[-1] + 1 for call in taken] == [5, 10, 15, 20, 21]
    assert [path.name for path in (tmp_path / "stages" / "01-x").glob("checkpoint-*")] == ["checkpoint-20"]


def test_a_call_ends_where_something_is_to_be_done(tmp_path: Path) -> None:
    taken = calls(tmp_path, 6, call_every=9)
    assert [call.steps.stop for call in taken] == [6, 9, 12, 18, 21]


@pytest.mark.parametrize("num_calls", [0, 1, 2, 3, 5])
def test_it_goes_on_from_the_last_checkpoint(tmp_path: Path, num_calls: int) -> None:
    whole = calls(tmp_path / "whole", 5)
    cut = calls(tmp_path / "cut", 5, num_calls)
    saved = max(0, len(cut) - 1)  # the last call's checkpoint is saved when the next is asked for
    assert calls(tmp_path / "cut", 5) == whole[saved:]
