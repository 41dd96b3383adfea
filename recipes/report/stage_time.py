"""Where the time went: one bar per stage, cut into phases."""

from __future__ import annotations

from itertools import chain
from typing import NamedTuple

from recipes.report.evaluation import Json
from rl.run.progress import duration_words
from rl.run.run_record import RunRecord

OTHER = "other"  # controller, data handling, loading: what no phase accounts for
NUM_TONES = 8  # as many hues as the page has; the shortest phases share the grey of `other`


class PhasePart(NamedTuple):
    """`percent` is of the longest stage's bar; `tone` is the phase's colour, the same in every bar; 0 is grey."""

    name: str
    seconds: float
    percent: float
    tone: int

    @property
    def words(self) -> str:
        return duration_words(self.seconds)


class StageBar(NamedTuple):
    """One stage's wall time."""

    title: str
    words: str
    parts: list[PhasePart]


class StageTimes(NamedTuple):
    """`totals` sums the phases over all stages, with their share of the whole in percent."""

    bars: list[StageBar]
    totals: list[PhasePart]
    words: str


def stage_times(run: RunRecord) -> StageTimes | None:
    """None where no stage is complete."""
    if not run.manifests:
        return None
    walls = [float(stage.get("wall_s") or 0.0) for stage in run.manifests]
    phases = [_phases(wall_s, stage) for wall_s, stage in zip(walls, run.manifests, strict=True)]
    sums = {name: sum(one.get(name, 0.0) for one in phases) for name in dict.fromkeys(chain(*phases))}
    names = sorted(sums, key=lambda name: (name == OTHER, -sums[name]))
    coloured = [name for name in names if name != OTHER][:NUM_TONES]
    tones = {name: 1 + coloured.index(name) if name in coloured else 0 for name in names}
    longest = max(walls) or 1.0
    bars = [
        StageBar(_title(stage), duration_words(wall_s), _parts(phase, tones, wall_s / longest))
        for stage, wall_s, phase in zip(run.manifests, walls, phases, strict=True)
    ]
    return StageTimes(bars, _parts(sums, tones, 1.0), duration_words(sum(walls)))


def _parts(seconds_of: dict[str, float], tones: dict[str, int], filled: float) -> list[PhasePart]:
    """A bar that fills this part of its track; phases that overlap share it in proportion."""
    whole = sum(seconds_of.values()) or 1.0
    shown = [(name, seconds_of[name], tone) for name, tone in tones.items() if name in seconds_of]
    return [PhasePart(name, seconds, 100 * filled * seconds / whole, tone) for name, seconds, tone in shown]


def _phases(wall_s: float, stage: Json) -> dict[str, float]:
    """Seconds per phase, the rest of the wall time under `other`. Phases that overlap can sum to more than it."""
    phase_s = stage.get("phase_s") or {}
    known = {name: float(seconds) for name, seconds in phase_s.items() if seconds and seconds > 0}
    rest = wall_s - sum(known.values())
    return {**known, OTHER: rest} if rest > 1e-3 else known


def _title(stage: Json) -> str:
    """An evaluation's says after what it was."""
    after = str((stage.get("result") or {}).get("after"))
    title = str(stage.get("title") or stage["stage"])
    return title + {"start": " at start", "sft": " after SFT", "rl": " after RL"}.get(after, "")
