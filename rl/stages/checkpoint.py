"""Going on inside a stage: DeepSpeed's checkpoint with a cursor, replaced whole."""

from __future__ import annotations

import errno
import json
import pickle
import shutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from rl.run.stage_directory import CURSOR, StageDirectory
from rl.run.stopwatch import Stopwatch
from sampler.atomic_file import write_atomically
from verifiers.errors import HoneError

if TYPE_CHECKING:
    from rl.trainer.trainer import Trainer


MAX_REASON = 200  # characters of an engine's own words


class Resumable(Protocol):
    """What goes on from a state of plain JSON: an `ExperienceSource`, a `Validation`."""

    def state(self) -> dict[str, Any]: ...
    def restore(self, state: Mapping[str, Any]) -> None: ...


class StageCheckpoint:
    """The newest checkpoint of a stage under way. The cursor is written last, so it always names a whole one; both stay
    until the stage is complete."""

    def __init__(self, directory: StageDirectory, watch: Stopwatch, *, every_steps: int | None) -> None:
        """``watch`` times the stage, over all processes that work on it."""
        self.directory = directory
        self.watch = watch
        self.every_steps = every_steps

    def resume(self, trainer: Trainer, source: Resumable | None = None) -> int:
        """Load the checkpoint, if there is one, into the trainer and ``source``, and drop what was logged after it.
        Returns the next step: 0 without a checkpoint.

        Raises: HoneError where its files are cut or damaged. Any other failure, such as too little memory, is raised as
        it is."""
        cursor = self.directory.path / CURSOR
        if not cursor.is_file():
            self.directory.begin()
            return 0
        damaged = cursor
        try:
            kept = json.loads(cursor.read_text())
            damaged = self.directory.path / kept["checkpoint"]
            trainer.load_checkpoint(damaged)
            next_step = int(kept["next_step"])
            if source is not None:
                source.restore(kept.get("source", {"step": next_step}))
            self.watch.restore(kept.get("time", {"wall_s": 0.0, "phase_s": {}}))  # since 2026-11-30
        except (
            RuntimeError,
            ValueError,
            KeyError,
            TypeError,
            OSError,
            EOFError,
            pickle.UnpicklingError,
        ) as why:
            cause = getattr(why, "cause", None) or why
            if _is_passing(cause):
                raise
            reason = " ".join(str(cause).split())[:MAX_REASON]
            raise HoneError(
                f"the checkpoint {damaged} cannot be read ({reason}): delete {self.directory.path}, and the same "
                "command begins this stage anew"
            ) from why
        self.directory.rewind(next_step)
        return next_step

    def stop_before(self, step: int) -> int | None:
        """The first step after ``step`` at which it is time to save; None where nothing is saved."""
        return None if self.every_steps is None else (step // self.every_steps + 1) * self.every_steps

    def save(self, trainer: Trainer, next_step: int, source: Resumable | None = None) -> None:
        """Save when it is time, with the state of ``source``, then forget the one before."""
        if self.every_steps is None or next_step % self.every_steps:
            return
        name = f"checkpoint-{next_step}"
        trainer.save_checkpoint(self.directory.path / name)
        cursor: dict[str, Any] = {"checkpoint": name, "next_step": next_step, "time": self.watch.state()}
        if source is not None:
            cursor["source"] = source.state()
        write_atomically(self.directory.path / CURSOR, json.dumps(cursor))
        for path in self.directory.path.glob("checkpoint-*"):
            if path.name != name:
                shutil.rmtree(path, ignore_errors=True)


def _is_passing(why: BaseException) -> bool:
    """Whether reading may well succeed another time: memory, a rank or a disk failed, not what was read."""
    import torch

    if isinstance(why, OSError):
        return why.errno not in (None, errno.ENOENT, errno.ENOTDIR, errno.EISDIR)
    return isinstance(why, MemoryError | torch.OutOfMemoryError | torch.distributed.DistError)
