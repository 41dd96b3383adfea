"""Tokens per second of Hone beside bare engines, in interleaved runs, and whether the ratio reaches what it should."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from verifiers.counted import counted

TARGET_RATIO = 0.90  # of Hone to the bare engine as one would write it


@dataclass(frozen=True)
class Speeds:
    """Of each run by contender, in the order they were made: Hone's, then those of the bare engines, the one that
    counts first. ``loadavg`` is that of the machine before all of them."""

    what: str
    loadavg: float
    tokens_per_s: Mapping[str, list[float]]

    @classmethod
    def measured(
        cls, what: str, contenders: Mapping[str, Callable[[int], float]], *, num_runs: int, num_warm: int
    ) -> Speeds:
        """Every contender in turn, called with the number of the run; the first ``num_warm`` runs are not counted."""
        loadavg, speeds = os.getloadavg()[0], {name: list[float]() for name in contenders}
        for run in range(num_warm + num_runs):
            for name, measure in contenders.items():
                speeds[name].append(measure(run))
        return cls(what, loadavg, {name: of_runs[num_warm:] for name, of_runs in speeds.items()})

    def ratio(self, bare: str) -> float:
        """Hone's median over that of a bare engine."""
        own, other = (
            statistics.median(self.tokens_per_s[name]) for name in (next(iter(self.tokens_per_s)), bare)
        )
        return own / other

    def __str__(self) -> str:
        lines = [f"{self.what}, load {self.loadavg:.2f}"]
        for name, runs in self.tokens_per_s.items():
            spread = f"lowest {min(runs):.0f}, highest {max(runs):.0f}, {counted(len(runs), 'run')}"
            lines.append(f"  {name:<9} median {statistics.median(runs):8.0f} tokens/s   ({spread})")
        own, *bare = self.tokens_per_s
        ratios = [f"  {own} / {name} {self.ratio(name):.3f}" for name in bare]
        reached = "reached" if self.ratio(bare[0]) >= TARGET_RATIO else "missed"
        ratios[0] += f"  (target {TARGET_RATIO:.2f}: {reached})"
        return "\n".join([*lines, *ratios])
