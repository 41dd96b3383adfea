"""Where the time went: one bar per stage, cut into phases."""

from __future__ import annotations

from dataclasses import dataclass

from recipes.report.run_record import RunRecord
from rl.progress import duration_words

OTHER = "other"  # controller, data handling, loading: what no phase accounts for
NUM_TONES = 6


@dataclass(frozen=True)
class PhasePart:
    """`percent` is of the longest stage's bar; `tone` is the phase's colour, the same in every bar; 0 is grey."""

    name: str
    seconds: float
    percent: float
    tone: int

    @property
    def words(self) -> str:
        return duration_words(self.seconds)


@dataclass(frozen=True)
class StageBar:
    """One stage's wall time."""

    title: str
    words: str
    parts: tuple[PhasePart, ...]


@dataclass(frozen=True)
class StageTimes:
    """`totals` sums the phases over all stages, with their share of the whole in percent."""

    bars: tuple[StageBar, ...]
    totals: tuple[PhasePart, ...]
    words: str


def stage_times(run: RunRecord) -> StageTimes | None:
    """None where no stage is complete."""
    stages = run.summary["stages"]
    if not stages:
        return None
    walls = [float(stage["wall_s"] or 0.0) for stage in stages]
    phases = [_phases(wall_s, stage["phase_s"] or {}) for wall_s, stage in zip(walls, stages, strict=True)]
    names = list(dict.fromkeys(name for phase in phases for name in phase if name != OTHER))
    tones = {name: 1 + index % NUM_TONES for index, name in enumerate(names)} | {OTHER: 0}
    longest, total = max(walls), sum(walls)
    bars = [
        StageBar(
            str(stage.get("title") or stage["stage"]),
            duration_words(wall_s),
            _parts(phase, tones, wall_s / longest if longest else 0.0),
        )
        for stage, wall_s, phase in zip(stages, walls, phases, strict=True)
    ]
    sums = {name: sum(phase.get(name, 0.0) for phase in phases) for name in [*names, OTHER]}
    totals = _parts({name: seconds for name, seconds in sums.items() if seconds > 0}, tones, 1.0)
    return StageTimes(tuple(bars), totals, duration_words(total))


def _parts(seconds_of: dict[str, float], tones: dict[str, int], filled: float) -> tuple[PhasePart, ...]:
    """A bar that fills this part of its track; phases that overlap share it in proportion."""
    whole = sum(seconds_of.values()) or 1.0
    return tuple(
        PhasePart(name, seconds, 100 * filled * seconds / whole, tones[name])
        for name, seconds in seconds_of.items()
    )


def _phases(wall_s: float, phase_s: dict[str, float]) -> dict[str, float]:
    """Seconds per phase, the rest of the wall time under `other`. Phases that overlap can sum to more than it."""
    known = {name: float(seconds) for name, seconds in phase_s.items() if seconds and seconds > 0}
    rest = wall_s - sum(known.values())
    return {**known, OTHER: rest} if rest > 1e-3 else known
