"""A run directory or a prompt file that a viewer was started on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from recipes.report.evaluation import Json, pass_at_1, win_rate
from recipes.report.shown_prompt import ShownPrompts
from rl.run.run_history import REJUDGED, store_part_of
from rl.run.run_record import RunRecord
from sampler.store.decisions.event_log import EventLog
from sampler.store.prompt_store import StorePart


@dataclass(frozen=True, eq=False)
class Place:
    """A run directory, or a prompt file, which is a place without rollouts. Each is equal to itself alone: what is kept
    of one is not taken for what it is later."""

    path: Path
    part: StorePart
    run: RunRecord | None

    @classmethod
    def of(cls, path: str | Path) -> Place:
        """Raises: BadInput where there is neither."""
        part = store_part_of(path)
        is_run = bool(part.rollout_files) or (Path(path) / "stages").is_dir()
        return cls(Path(path), part, RunRecord.open(path) if is_run else None)

    @property
    def name(self) -> str:
        return self.part.run

    @property
    def state(self) -> tuple[Any, ...]:
        """What changes when the run goes on."""
        if self.run is None:
            return _times([self.path])
        return _times(
            [
                *(self.path / name for name in ("rollouts", "stages", REJUDGED)),
                *(self.path / "rollouts").glob("*"),
            ]
        )

    @property
    def decided_state(self) -> tuple[Any, ...]:
        """What changes when a person decides something."""
        return _times(self.part.event_files)

    @property
    def events(self) -> EventLog:
        """Where the next decision about its prompts goes."""
        return EventLog.beside(self.path)

    @cached_property
    def prompts(self) -> ShownPrompts:
        """Where its prompts lie with their pictures."""
        if self.run is not None:
            return ShownPrompts.of(self.path)
        return ShownPrompts((self.path,) if self.path.suffix == ".parquet" else (), (str(self.path),))

    @cached_property
    def best(self) -> Json | None:
        """The held-out evaluation of the best policy so far: by pass@1, or the win rate where no rule judges."""
        rated = [
            (rate, one)
            for one in (self.run.evaluations if self.run else ())
            if (rate := _rate(one)) is not None
        ]
        return max(rated, key=lambda pair: pair[0])[1] if rated else None


def _times(files: Iterable[Path]) -> tuple[Any, ...]:
    return tuple((str(one), one.stat().st_mtime_ns, one.stat().st_size) for one in files if one.exists())


def _rate(evaluation: Json) -> float | None:
    rate = pass_at_1(evaluation)
    return win_rate(evaluation) if rate is None else rate
