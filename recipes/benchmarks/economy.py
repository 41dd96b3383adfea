"""What an RL step's training costs beside the same step with nothing left out, on the same rollouts, in turn.

Nothing left out: log-probabilities of every rollout before the update, and every rollout in the update. The rate is
next to 0, so that all steps are those of one policy, early or late in RL.

    hone bench economy RUN --policy RUN/stages/04-rl-r0/policy
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rl.algorithm.algorithm import Algorithm, algorithm_of
from rl.recipe.trainer_config import ScheduleConfig
from rl.stages.stage import StageContext
from rl.stages.training_step import TrainingStep, training_source

STILL = ScheduleConfig(lr=1e-12, warmup_frac=0.0)
PHASES = ("logprobs", "train")


def all_of_vanilla(*arguments: Any, **options: Any) -> Any:
    """verl's clipped loss under a name of which nobody knows that it is silent without an advantage."""
    from rl.algorithm.loss.losses import policy_loss_function

    return policy_loss_function("vanilla")(*arguments, **options)


@dataclass(frozen=True)
class Economy:
    """Seconds of each step's phases, with nothing left out and as the recipe has it, and what was left out."""

    whole: list[Mapping[str, float]]
    now: list[Mapping[str, float]]

    def seconds(self, steps: list[Mapping[str, float]]) -> list[float]:
        return [sum(step[f"time/{phase}_s"] for phase in PHASES) for step in steps]

    def __str__(self) -> str:
        whole, now = self.seconds(self.whole), self.seconds(self.now)
        ratio = statistics.median(b / a for a, b in zip(whole, now, strict=True))
        silent, recomputed = (
            statistics.median(step[name] for step in self.now)
            for name in ("train/no_signal_frac", "train/recomputed_frac")
        )
        return (
            f"training of {len(now)} steps (log-probabilities and update), medians\n"
            f"  nothing left out  {statistics.median(whole):.3f} s\n"
            f"  as the recipe has {statistics.median(now):.3f} s; {silent:.0%} of the rollouts without a signal, "
            f"{recomputed:.0%} computed before the update\n"
            f"  median of the paired ratios {ratio:.3f}"
        )


def measure_economy(context: StageContext, *, num_steps: int) -> Economy:
    """Steps on rollouts of the context's policy, first one way and then the other, and the other way round."""
    config = context.recipe.rl
    loss = config.loss.model_copy(update={"policy_loss": f"{__name__}:all_of_vanilla"})
    whole = algorithm_of(config.model_copy(update={"old_log_probs": "recompute", "loss": loss}))
    now = algorithm_of(config)
    found: dict[Algorithm, list[Mapping[str, float]]] = {whole: [], now: []}
    source = training_source(context, now, seed="economy", num_steps=num_steps + 1)
    for experience in source:
        for algorithm in (whole, now) if experience.step % 2 else (now, whole):
            step = TrainingStep(context, algorithm, experience, seed="economy", num_steps=num_steps + 1)
            step.prepare()
            step.update_policy(STILL)
            found[algorithm].append(step.finish())
    return Economy(found[whole][1:], found[now][1:])  # the first step warms up
