"""What each part of hybrid PPO brings: RL again and again from one SFT policy and one reward model, one part left out.

The policy, the reward model and the data are those of a finished hybrid run; engines are started once. Value
pre-training is shared by the arms that use it, one critic a seed.

    hone bench ablation runs/hybrid_cpu
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from recipes.benchmarks.hybrid_run import HybridRun
from recipes.benchmarks.learning.arm import ArmRunner, Changes
from rl.run.progress import ProgressDisplay
from rl.run.results.evaluation_result import EvaluationResult
from rl.run.results.stage_result import PolicyState
from rl.runner import StageRunner
from rl.stages.critic import CriticStage
from rl.stages.evaluate import EvaluateStage
from rl.stages.rl import RlStage

FULL = "full"
# What each arm changes in the full recipe, section by section.
ARMS: Mapping[str, Changes] = {
    FULL: {},
    "no value pre-training": {"critic": {"pretrain_steps": 0}},
    "one lambda (0.95)": {"rl": {"lambda_critic": 0.95, "lambda_actor": 0.95}},
    "no clip-higher": {"rl": {"loss": {"clip_low": 0.2, "clip_high": 0.2}}},
    "no positive NLL": {"rl": {"loss": {"positive_nll_coef": 0.0}}},
    "critic from the reward model": {"critic": {"init_from": "reward_model"}},
    "GRPO": {"rl": {"advantage": "grpo", "samples_per_general_prompt": 4}, "critic": {"pretrain_steps": 0}},
}


@dataclass(frozen=True)
class AblationRun:
    """One arm under one seed: held-out figures after RL, the reward of every step, seconds a step spent training."""

    arm: str
    seed: int
    pass_at_1: float
    win_rate: float
    rewards: tuple[float, ...]
    train_s: float


@dataclass(frozen=True)
class Ablation:
    """All runs, with the figures of the policy they start from by seed."""

    start: Mapping[int, tuple[float, float]]  # pass@1, win rate
    runs: Sequence[AblationRun]

    def of(self, arm: str) -> list[AblationRun]:
        return [run for run in self.runs if run.arm == arm]


def run_ablation(
    source: Path,
    out: Path,
    *,
    seeds: Sequence[int],
    steps: int,
    rollouts: int,
    samples: int,
    display: ProgressDisplay,
) -> Ablation:
    """Run what is missing under ``out`` (a stage that is complete is not run again); returns all figures.

    Every arm sees the same number of rollouts. Raises: BadInput where ``source`` is no finished hybrid run.
    """
    shared = HybridRun.of(
        source,
        [
            f"rl.steps={steps}",
            f"rl.rollouts_per_step={rollouts}",
            "rl.checkpoint_every_steps=null",
            "critic.settle_window=0",
            f"evaluation.samples_per_prompt={samples}",
            "evaluation.pass_at=[1]",
        ],
    )
    runs, start = [], {}
    with shared.engines(out / "logs") as engines:
        engines.start()
        arm = ArmRunner(shared.recipe, shared.data, shared.policy, engines, out, display)
        for seed in seeds:
            with arm("start", seed, {}) as run:
                start[seed] = _figures(run(EvaluateStage(), shared.policy))
                critic = run(CriticStage(), shared.policy).critic
            for name, change in ARMS.items():
                with arm(name, seed, change) as run:
                    runs.append(_trained(run, name, shared.policy, critic))
    return Ablation(start, runs)


def _trained(run: StageRunner, name: str, policy: PolicyState, shared_critic: Path) -> AblationRun:
    """RL and an evaluation, with the critic that the arms share unless this one starts from another or none."""
    critic = shared_critic if run.recipe.critic.pretrain_steps else None
    if run.recipe.critic.init_from:
        critic = run(CriticStage(), policy).critic
    trained = run(RlStage(critic=critic), policy)
    steps = run.directory.metrics.of_stage(trained.stage)
    pass_at_1, win_rate = _figures(run(EvaluateStage(after="rl"), trained.policy))
    spent = ("time/train_s", "time/critic_s", "time/values_s", "time/logprobs_s")
    return AblationRun(
        name,
        run.recipe.seed,
        pass_at_1,
        win_rate,
        tuple(one["rollout/reward_mean"] for one in steps),
        sum(one.get(part, 0.0) for one in steps for part in spent) / len(steps),
    )


def _figures(evaluation: EvaluationResult) -> tuple[float, float]:
    return evaluation.pass_at_1, evaluation.general["against_reference"]["win_rate"]
