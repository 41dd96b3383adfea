"""What the stage at work has come to, in a small file of the run: for whoever asks from another terminal.

It is told and never read back by the run: a run without it goes on alike.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rl.run.progress import StageProgress
from sampler.atomic_file import write_atomically

FILE = "progress.json"
EVERY_S = 5.0


@dataclass(frozen=True)
class ToldProgress:
    """A stage at some moment: steps done of how many (None: not known), seconds since it began here and those that are
    left at its pace (None: not known), its newest figures; which process told it on which machine, in Unix time."""

    stage: str
    step: int
    total_steps: int | None
    elapsed_s: float
    eta_s: float | None
    told_at: float
    host: str
    pid: int
    values: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, run: Path) -> ToldProgress | None:
        """The last that was told; None where no stage is at work, or was when the run was stopped."""
        try:
            return cls(**json.loads((run / FILE).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None


@contextmanager
def telling(run: Path, stage: str, progress: StageProgress) -> Iterator[None]:
    """Tell of a stage while the block lasts, at most every five seconds; a kill leaves what was told last. A full disk
    is no reason to end a run here."""
    show, told_at = progress.on_advance, 0.0

    def tell() -> None:
        nonlocal told_at
        show()
        now = time.time()
        if now - told_at < EVERY_S:
            return
        told_at = now
        told = ToldProgress(
            stage, progress.step, progress.total_steps, progress.elapsed_s, progress.eta_s, now,
            socket.gethostname(), os.getpid(), dict(progress.values),
        )  # fmt: skip
        with suppress(OSError):
            write_atomically(run / FILE, json.dumps(asdict(told)))

    progress.on_advance = tell
    tell()
    try:
        yield
        with suppress(OSError):
            (run / FILE).unlink(missing_ok=True)
    finally:
        progress.on_advance = show
