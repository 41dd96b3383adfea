"""How long each phase of a stage or a step took."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Stopwatch:
    """Seconds of a stage or a step, ``wall_s`` in all and by phase: ``with watch("generate"): ...``."""

    seconds: dict[str, float] = field(default_factory=dict)
    _began: float = field(default_factory=time.perf_counter)

    @property
    def wall_s(self) -> float:
        return time.perf_counter() - self._began

    def state(self) -> dict[str, Any]:
        """Plain JSON, for a checkpoint."""
        return {"wall_s": self.wall_s, "phase_s": self.seconds}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Count what an earlier process took up to its checkpoint, too."""
        self._began -= state["wall_s"]
        self.include(state["phase_s"])

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(phase, time.perf_counter() - start)

    def add(self, phase: str, seconds: float) -> None:
        """Seconds of a phase that were measured elsewhere."""
        self.seconds[phase] = self.seconds.get(phase, 0.0) + seconds

    def include(self, seconds: Mapping[str, float]) -> None:
        """Another watch's phases."""
        for phase, more in seconds.items():
            self.add(phase, more)
