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
    phases = [_phases(float(stage["wall_s"] or 0.0), stage["phase_s"] or {}) for stage in stages]
    names = list(dict.fromkeys(name for phase in phases for name in phase if name != OTHER))
    tones = {name: 1 + index % NUM_TONES for index, name in enumerate(names)} | {OTHER: 0}
    longest = max(sum(phase.values()) for phase in phases) or 1.0
    total = sum(sum(phase.values()) for phase in phases) or 1.0

    def parts(seconds_of: dict[str, float], whole: float) -> tuple[PhasePart, ...]:
        return tuple(
            PhasePart(name, seconds, 100 * seconds / whole, tones[name])
            for name, seconds in seconds_of.items()
        )

    bars = [
        StageBar(
            str(stage.get("title") or stage["stage"]),
            duration_words(sum(phase.values())),
            parts(phase, longest),
        )
        for stage, phase in zip(stages, phases, strict=True)
    ]
    summed = {name: sum(phase.get(name, 0.0) for phase in phases) for name in [*names, OTHER]}
    return StageTimes(
        tuple(bars), parts({name: s for name, s in summed.items() if s > 0}, total), duration_words(total)
    )


def _phases(wall_s: float, phase_s: dict[str, float]) -> dict[str, float]:
    """Seconds per phase, the rest of the wall time under `other`. Phases that overlap can sum to more than it."""
    known = {name: float(seconds) for name, seconds in phase_s.items() if seconds and seconds > 0}
    rest = wall_s - sum(known.values())
    return {**known, OTHER: rest} if rest > 1e-3 else known
