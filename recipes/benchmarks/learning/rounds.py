"""What a second round is for: from one RL policy several ways on, each with the same number of rollouts.

    hone bench rounds runs/digits_cpu

An arm under a seed leaves a record, a small JSON file. Table, plot and document are made of records alone, so those of
other days and machines count too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from recipes.benchmarks.learning.arm import Changes, changed_recipe
from recipes.benchmarks.learning.first_round import FirstRound
from recipes.benchmarks.learning.paired_arms import missing_arms
from recipes.benchmarks.learning.records import ArmRecord
from rl.run.progress import ProgressDisplay
from rl.run.provenance import code_version
from rl.run.results.stage_result import HarvestResult, PolicyState
from rl.runner import StageRunner
from rl.stages.distill import DistillStage
from rl.stages.evaluate import EvaluateStage
from rl.stages.rl import RlStage
from rl.stages.sampled.harvest import HarvestStage
from rl.stages.supervised.sft import SftStage

STREAM = "rounds"  # of random numbers: every evaluation asks the same


@dataclass(frozen=True)
class Between:
    """What an arm did before its RL: the policy it left, and what it took."""

    policy: PolicyState
    num_rollouts: int = 0
    num_steps: int = 0
    num_rows: int = 0


def nothing(run: StageRunner, first: FirstRound) -> Between:
    return Between(first.policy)


def sft_on_harvest(run: StageRunner, first: FirstRound) -> Between:
    """As ``rl.program.rounds`` goes from one round to the next."""
    return _sft(run, first, run(HarvestStage(), first.policy))


def sft_on_cold_start(run: StageRunner, first: FirstRound) -> Between:
    """The same without a harvest: cold-start rows alone."""
    return _sft(run, first, None)


def distillation(run: StageRunner, first: FirstRound) -> Between:
    """The RL policy teaches the one that RL began from, on rollouts of the pupil's own."""
    return _taught(run, first, Between(first.cold_started))


def sft_then_distillation(run: StageRunner, first: FirstRound) -> Between:
    """The RL policy teaches what an SFT on the harvest made it forget."""
    return _taught(run, first, sft_on_harvest(run, first))


def longer_first_sft(run: StageRunner, first: FirstRound) -> Between:
    """The first SFT goes on where it ended; what the first RL sampled is left for the RL that follows."""
    longer = _sft(run, replace(first, policy=first.cold_started), None)
    return replace(longer, num_rollouts=-first.recipe.rl.steps * first.recipe.rl.num_rollouts_of_step)


def _taught(run: StageRunner, first: FirstRound, before: Between) -> Between:
    taught = run(DistillStage(1, teachers=first.policy), before.policy)
    applied = run.recipe.distillation.applied_to(run.recipe.rl)
    num_rollouts = applied.steps * applied.num_rollouts_of_step
    num_steps = applied.steps * applied.num_mini_batches
    return replace(
        before,
        policy=taught.policy,
        num_rollouts=before.num_rollouts + num_rollouts,
        num_steps=before.num_steps + num_steps,
    )


def _sft(run: StageRunner, first: FirstRound, harvest: HarvestResult | None) -> Between:
    trained = run(SftStage(1, [harvest] if harvest else [], first.cold_started), first.policy)
    num_steps = len(run.directory.metrics.of_stage(trained.stage))
    num_rollouts = harvest.num_rollouts if harvest else 0
    return Between(trained.policy, num_rollouts, num_steps, sum(trained.num_rows.values()))


@dataclass(frozen=True)
class Arm:
    """A way from the RL policy on: keys of the recipe set anew, and what comes before RL."""

    changes: Changes = field(default_factory=dict)
    between: Callable[[StageRunner, FirstRound], Between] = nothing


def _keys(rl_lr: float, **sft: Any) -> Changes:
    return {
        "rl": {"later_lr": rl_lr},
        "sft": {"later_lr": 5e-4, "later_cold_start_min_ratio": None, **sft},
        "harvest": {"num_prompts": 1500},
    }


GO_ON = "RL goes on"
LEFT = {"later_cold_start_frac": 1.0, "later_cold_start_min_ratio": 0.2}
TAUGHT = {"steps": 10, "prompts_per_step": 512, "samples_per_prompt": 1}
LONGER = {
    "later_cold_start_frac": 1.0,
    "later_epochs": 0.51,
}  # of 20,000 rows: as many steps as SFT on what RL left takes
# Which settings an arm is about stand here, so that it stays what it is when a recipe's defaults move.
ARMS: Mapping[str, Arm] = {
    GO_ON: Arm(_keys(1e-4)),
    "RL goes on, at 3e-4": Arm(_keys(3e-4)),
    "SFT on what RL left": Arm(_keys(1e-4, **LEFT), sft_on_cold_start),
    "SFT on what RL left, RL at 3e-4": Arm(_keys(3e-4, **LEFT), sft_on_cold_start),
    "SFT on what RL left, RL at 5e-5": Arm(_keys(5e-5, **LEFT), sft_on_cold_start),
    "SFT on what RL left and the harvest": Arm(_keys(1e-4, **LEFT), sft_on_harvest),
    "SFT on the harvest": Arm(_keys(3e-4, later_cold_start_frac=0.01), sft_on_harvest),
    "SFT on the cold start": Arm(_keys(1e-4, later_cold_start_frac=0.5), sft_on_cold_start),
    "SFT from the base": Arm(
        _keys(3e-4, start_from="base", later_epochs=None, later_lr=None, later_cold_start_frac=1.0),
        sft_on_harvest,
    ),
    "distillation": Arm({**_keys(1e-4), "distillation": TAUGHT}, distillation),
    "SFT on the harvest, distillation": Arm(
        {**_keys(1e-4, later_cold_start_frac=0.01), "distillation": TAUGHT}, sft_then_distillation
    ),
    "a longer first SFT": Arm(_keys(3e-4, **LONGER), longer_first_sft),
}


@dataclass(frozen=True)
class RoundRecord(ArmRecord):
    """One arm under one seed. Figures are held-out pass@1: of the policy all arms start from, before RL, at the end.
    ``num_asked`` rollouts were asked for; records before 2026-11-30 do not say it."""

    start: float
    before_rl: float
    end: float
    end_by_type: Mapping[str, float]
    num_rollouts: int
    num_optimizer_steps: int
    num_rows: int
    code_version: str
    num_asked: int | None = None


def run_rounds(
    source: Path,
    out: Path,
    records: Path,
    *,
    arms: Sequence[str],
    seeds: Sequence[int],
    num_rollouts: int,
    overrides: Sequence[str],
    display: ProgressDisplay,
) -> None:
    """Run every arm under every seed that has no record of this yet. Each samples ``num_rollouts``, those of a harvest
    included; what a harvest takes, RL has less. Raises: BadInput for an unknown arm, and where ``source`` has no RL
    policy."""
    records.mkdir(parents=True, exist_ok=True)
    missing = missing_arms(
        source,
        out,
        arms=arms,
        known=ARMS,
        seeds=seeds,
        done={
            (one.run, one.arm, one.seed)
            for one in RoundRecord.read_all(records)
            if one.num_asked in (num_rollouts, None)
        },
        overrides=overrides,
        display=display,
        start_of=lambda first: first.policy,
        stream=STREAM,
    )
    for arm in missing:
        changes = ARMS[arm.name].changes
        # Before the arm spends some: a folder of other rollouts is not taken up again.
        steps = max(1, num_rollouts // arm.first.recipe.rl.num_rollouts_of_step)
        with arm.run(arm.name, arm.seed, {**changes, "rl": {**changes["rl"], "steps": steps}}) as run:
            record = _second_round(run, arm.name, arm.first, arm.start, num_rollouts)
        replace(record, run=source.name).save(records)


def _second_round(
    run: StageRunner, name: str, first: FirstRound, start: float, num_rollouts: int
) -> RoundRecord:
    """What the arm does between, RL on what is left of the rollouts, evaluations."""
    between, before_rl = ARMS[name].between(run, first), start
    if between.policy is not first.policy:
        before_rl = run(EvaluateStage(1, after="sft", stream=STREAM), between.policy).pass_at_1
    rl = run.recipe.rl
    of_a_step = rl.num_rollouts_of_step
    steps = max(1, (num_rollouts - between.num_rollouts) // of_a_step)
    run.recipe = changed_recipe(run.recipe, {"rl": {"steps": steps}})
    trained = run(RlStage(1), between.policy)
    end = run(EvaluateStage(1, after="rl", stream=STREAM), trained.policy)
    return RoundRecord(
        run=run.directory.path.name,
        arm=name,
        seed=run.recipe.seed,
        start=start,
        before_rl=before_rl,
        end=end.pass_at_1,
        end_by_type={name: figures["pass_at_1"] for name, figures in end.by_tag.items()},
        num_rollouts=between.num_rollouts + steps * of_a_step,
        num_optimizer_steps=between.num_steps + steps * rl.num_mini_batches,
        num_rows=between.num_rows,
        code_version=code_version(),
        num_asked=num_rollouts,
    )
