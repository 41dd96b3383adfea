"""Which prompts RL should take: rollouts until a fixed held-out pass@1, each rule of selection against uniform.

    hone bench selection runs/digits_cpu --target 0.8

RL goes on from the policy of the cold start in legs of some steps, with an evaluation after each; the optimizer's
moments last. A leg begins its choice from what the run's store knows of the legs before it. An arm under a seed leaves
a record, a small JSON file; table, plot and document are made of records alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from recipes.benchmarks.learning.arm import Changes
from recipes.benchmarks.learning.first_round import FirstRound
from recipes.benchmarks.learning.paired_arms import missing_arms
from recipes.benchmarks.learning.records import ArmRecord
from rl.run.progress import ProgressDisplay
from rl.run.provenance import code_version
from rl.runner import StageRunner
from rl.stages.evaluate import EvaluateStage
from rl.stages.rl import RlStage

STREAM = "selection"  # of random numbers: every evaluation asks the same
UNIFORM = "uniform"
# What each arm changes. A rule's options stand here, so that an arm stays what it is when a default moves.
ARMS: Mapping[str, Changes] = {
    UNIFORM: {"prompt_source": "uniform"},
    # A rule's own way of drawing with no rule: nothing lies outside this band.
    "even": {"prompt_source": "band", "prompt_source_options": {"low": 0.0, "high": 1.0, "review_frac": 0.0}},
    "band": {"prompt_source": "band", "prompt_source_options": {"low": 0.1, "high": 0.75}},
    "posterior": {"prompt_source": "posterior", "prompt_source_options": {"target": 0.5}},
    "retire": {"prompt_source": "retire", "prompt_source_options": {"retire_at": 0.9, "review_frac": 0.02}},
    # The rule asks for the KL; so small a coefficient leaves the loss uniform's.
    "thin": {"prompt_source": "thin", "prompt_source_options": {}, "loss": {"kl_coef_verifiable": 1e-6}},
    "refills": {"prompt_source": "uniform", "dynamic_sampling": True},
    "refills, posterior": {
        "prompt_source": "posterior",
        "prompt_source_options": {"target": 0.5},
        "dynamic_sampling": True,
    },
}


@dataclass(frozen=True)
class SelectionRecord(ArmRecord):
    """One arm under one seed: held-out pass@1 by the number of rollouts that RL had taken, the start first. ``steps``
    of RL lie between two; records before 2026-11-30 do not say it."""

    curve: tuple[tuple[int, float], ...]
    code_version: str
    steps: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "curve", tuple((num, rate) for num, rate in self.curve))  # of JSON lists

    @property
    def num_rollouts(self) -> int:
        """All that were taken."""
        return self.curve[-1][0]

    @property
    def end(self) -> float:
        return self.curve[-1][1]

    def rollouts_to(self, target: float) -> float | None:
        """Where the straight lines between evaluations first reach a pass@1; None where they do not.

        >>> SelectionRecord("r", "a", 1, ((0, 0.5), (100, 0.7), (200, 0.6)), "").rollouts_to(0.6)
        50.0
        """
        before = self.curve[0]
        if before[1] >= target:
            return 0.0
        for num, rate in self.curve[1:]:
            if rate >= target:
                return before[0] + (num - before[0]) * (target - before[1]) / (rate - before[1])
            before = (num, rate)
        return None


def run_selection(
    source: Path,
    out: Path,
    records: Path,
    *,
    arms: Sequence[str],
    seeds: Sequence[int],
    num_legs: int,
    steps: int,
    overrides: Sequence[str],
    display: ProgressDisplay,
) -> None:
    """Run every arm under every seed that has no record of this yet: ``num_legs`` times ``steps`` steps of RL.

    Raises: BadInput for an unknown arm, and where ``source`` has no cold-started policy."""
    records.mkdir(parents=True, exist_ok=True)
    missing = missing_arms(
        source,
        out,
        arms=arms,
        known=ARMS,
        seeds=seeds,
        done={
            (one.run, one.arm, one.seed)
            for one in SelectionRecord.read_all(records)
            if len(one.curve) == num_legs + 1 and one.steps in (steps, None)
        },
        overrides=overrides,
        display=display,
        start_of=lambda first: first.cold_started,
        stream=STREAM,
    )
    for arm in missing:
        # Each leg at the rate of the first round, whatever the recipe has for later ones.
        keys = {"steps": steps, "later_lr": None, "checkpoint_every_steps": None, **ARMS[arm.name]}
        with arm.run(arm.name, arm.seed, {"rl": keys}) as run:
            curve = legs(run, arm.first, arm.start, num_legs)
        SelectionRecord(source.name, arm.name, arm.seed, curve, code_version(), steps).save(records)


def legs(run: StageRunner, first: FirstRound, start: float, num_legs: int) -> tuple[tuple[int, float], ...]:
    """RL and an evaluation in turn."""
    curve, policy, total = [(0, start)], first.cold_started, 0
    for number in range(num_legs):
        # With fresh moments each leg's first steps would be as long as the rate: nothing was learnt in short legs.
        trained = run(RlStage(number, keeps_optimizer=number > 0), policy)
        policy = trained.policy
        shards = (run.directory.path / "rollouts" / trained.stage).glob("*.parquet")
        total += sum(pq.read_metadata(shard).num_rows for shard in shards)
        curve.append((total, run(EvaluateStage(number, after="rl", stream=STREAM), policy).pass_at_1))
    return tuple(curve)
