"""Where the time went: one bar per stage, cut into phases."""

from __future__ import annotations

from dataclasses import dataclass

from recipes.report.record.stage_label import stage_label
from rl.run.progress import duration_words
from rl.run.run_record import RunRecord

OTHER = "other"  # controller, data handling, loading: what no phase accounts for
NUM_TONES = 8  # as many hues as the page has; the shortest phases share the grey of `other`


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
    stages = run.manifests
    if not stages:
        return None
    walls = [float(stage.get("wall_s") or 0.0) for stage in stages]
    phases = [
        _phases(wall_s, stage.get("phase_s") or {}) for wall_s, stage in zip(walls, stages, strict=True)
    ]
    sums: dict[str, float] = {}
    for phase in phases:
        for name, seconds in phase.items():
            sums[name] = sums.get(name, 0.0) + seconds
    names = sorted(sums, key=lambda name: (name == OTHER, -sums[name]))
    coloured = [name for name in names if name != OTHER][:NUM_TONES]
    tones = {name: 1 + coloured.index(name) if name in coloured else 0 for name in names}
    longest, total = max(walls), sum(walls)
    bars = [
        StageBar(
            stage_label(stage),
            duration_words(wall_s),
            _parts(phase, tones, wall_s / longest if longest else 0.0),
        )
        for stage, wall_s, phase in zip(stages, walls, phases, strict=True)
    ]
    totals = _parts(sums, tones, 1.0)
    return StageTimes(tuple(bars), totals, duration_words(total))


def _parts(seconds_of: dict[str, float], tones: dict[str, int], filled: float) -> tuple[PhasePart, ...]:
    """A bar that fills this part of its track; phases that overlap share it in proportion."""
    whole = sum(seconds_of.values()) or 1.0
    return tuple(
        PhasePart(name, seconds_of[name], 100 * filled * seconds_of[name] / whole, tone)
        for name, tone in tones.items()
        if name in seconds_of
    )


def _phases(wall_s: float, phase_s: dict[str, float]) -> dict[str, float]:
    """Seconds per phase, the rest of the wall time under `other`. Phases that overlap can sum to more than it."""
    known = {name: float(seconds) for name, seconds in phase_s.items() if seconds and seconds > 0}
    rest = wall_s - sum(known.values())
    return {**known, OTHER: rest} if rest > 1e-3 else known
