"""Records of arms under seeds: a small file each, and what pairs them with a control."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Self, TypeVar

from recipes.benchmarks.learning.arm import slug_of
from sampler.atomic_file import write_atomically


@dataclass(frozen=True)
class ArmRecord:
    """What came of one arm, started from a policy of ``run``, under one seed."""

    run: str
    arm: str
    seed: int

    def save(self, directory: Path) -> None:
        """As ``RUN-ARM-sSEED.json``."""
        file = directory / f"{self.run}-{slug_of(self.arm, self.seed)}.json"
        write_atomically(file, json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read_all(cls, directory: Path) -> list[Self]:
        """Every record there is, in the order of their files."""
        return [cls(**json.loads(file.read_text())) for file in sorted(directory.glob("*.json"))]


RecordT = TypeVar("RecordT", bound=ArmRecord)


def arms_of(records: Sequence[ArmRecord], control: str) -> list[str]:
    """Their arms: the control, then the others by name."""
    return sorted({one.arm for one in records}, key=lambda arm: (arm != control, arm))


def paired(records: Sequence[RecordT], arm: str, control: str) -> list[tuple[RecordT, RecordT]]:
    """Records of an arm, each with that of the control from the same policy under the same seed."""
    of_control = {(one.run, one.seed): one for one in records if one.arm == control}
    of_arm = [one for one in records if one.arm == arm]
    return [(one, of_control[one.run, one.seed]) for one in of_arm if (one.run, one.seed) in of_control]


def student_interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean, and half of its 95% interval by Student's t; of one value that half is not known (nan).

    >>> [round(one, 4) for one in student_interval([0.01, 0.02, 0.03])]
    [0.02, 0.0248]
    """
    from scipy.stats import t

    if len(values) == 1:
        return values[0], math.nan
    half = float(t.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
    return fmean(values), half


def points(differences: Sequence[float]) -> str:
    """Mean and 95% interval, in points.

    >>> points([0.01, 0.02, 0.03]), points([0.01]), points([])
    ('+2.0 (-0.5 to +4.5)', '+1.0', '')
    """
    if not differences:
        return ""
    mean, half = student_interval([100 * one for one in differences])
    return f"{mean:+.1f}" if math.isnan(half) else f"{mean:+.1f} ({mean - half:+.1f} to {mean + half:+.1f})"
