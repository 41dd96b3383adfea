"""What an RL step spends outside the engines, from the metrics a run has logged."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path

from rl.run.metrics_log import read_metrics
from verifiers.counted import counted
from verifiers.errors import BadInput

TARGET_FRAC = 0.05


@dataclass(frozen=True)
class StepOverhead:
    """Median seconds of a step by phase, and the share that is neither generation, training nor sync."""

    num_steps: int
    phase_s: dict[str, float]
    step_s: float
    overhead_frac: float

    def __str__(self) -> str:
        lines = [f"RL step: median of {counted(self.num_steps, 'step')}, {self.step_s:.2f} s"]
        lines += [
            f"  {phase:<10}{seconds:7.3f} s  {seconds / self.step_s:6.1%}"
            for phase, seconds in sorted(self.phase_s.items(), key=lambda item: -item[1])
        ]
        verdict = "reached" if self.overhead_frac <= TARGET_FRAC else "missed"
        target = f"(target at most {TARGET_FRAC:.0%}: {verdict})"
        return "\n".join(
            [*lines, f"  controller, judging and data {self.overhead_frac:.1%} of a step {target}"]
        )


def measure_overhead(run: Path) -> StepOverhead:
    """``judge`` holds judging beyond generation, batching and the rollout log. Raises: BadInput without RL steps."""
    steps = [line["metrics"] for line in read_metrics(run) if line["kind"] == "rl"]
    if not steps:
        raise BadInput(
            f"{run} has no RL steps in metrics.jsonl: give the directory of a run that has trained"
        )
    phases = sorted(
        {name for metrics in steps for name in metrics if name.startswith("time/")} - {"time/step_s"}
    )
    phase_s = {
        name.removeprefix("time/").removesuffix("_s"): statistics.median(m.get(name, 0.0) for m in steps)
        for name in phases
    }
    return StepOverhead(
        len(steps),
        phase_s,
        statistics.median(m["time/step_s"] for m in steps),
        statistics.median(m["time/judge_s"] / m["time/step_s"] for m in steps),
    )
