"""Value pre-training: the critic learns the returns of the SFT policy before the actor moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from rl.algorithm.gae import DECOUPLED_GAE
from rl.algorithm.schedule import learning_rate
from rl.data.prompt_source import step_draws
from rl.data.run_data import RunData
from rl.experience.experience import sample_step
from rl.experience.judge import reward_model_path
from rl.experience.step_metrics import critic_metrics, rollout_metrics, time_metrics
from rl.experience.training_batch import (
    mini_batches,
    packed_rollouts,
    training_rewards,
    usable_rollouts,
    with_advantages,
)
from rl.recipe.recipe import Recipe
from rl.recipe.rl_config import FROM_REWARD_MODEL, CriticConfig, RlConfig
from rl.run.policy_state import PolicyState
from rl.run.stage_result import CriticResult
from rl.run.stopwatch import Stopwatch
from rl.stages.rl import value_loss_spec
from rl.stages.stage import Stage, StageContext
from rl.trainer.checkpoint import StageCheckpoint, export_critic
from sampler.prompt import Prompt
from verifiers.counted import counted
from verifiers.errors import BadInput


class CriticStage(Stage[CriticResult]):
    """Rollouts of a policy that stays as it is; the critic fits their Monte-Carlo returns (VC-PPO, 2503.01491, section
    3.2) until the variance it explains settles, or for ``critic.pretrain_steps``.

    ``start`` is the checkpoint it begins with: the last round's critic; None for ``critic.init_from``, else the policy.
    """

    leaves = CriticResult
    label = "critic"

    def __init__(self, round_index: int, base: PolicyState, start: Path | None) -> None:
        super().__init__(round_index)
        self.base = base
        self.start = start

    def num_steps(self, recipe: Recipe, data: RunData) -> int:
        return recipe.critic.pretrain_steps

    def inputs(self) -> Mapping[str, Any]:
        return {"critic": None if self.start is None else self.start.parent.name}

    def run(self, context: StageContext) -> CriticResult:
        """Fit returns step by step until settled or done; goes on from a checkpoint; exports the critic."""
        config, trainer = context.recipe.critic, context.engines.trainer
        trainer.load_critic(self.start or initial_checkpoint(context))
        checkpoint = StageCheckpoint(context.directory, every_steps=context.recipe.rl.checkpoint_every_steps)
        first_step = checkpoint.resume(trainer)
        context.progress.advance(first_step)
        explained = [metrics["critic/explained_variance"] for metrics in context.directory.metrics()]
        draws = step_draws(
            context.data.train,
            context.recipe.rl,
            seed=f"{context.recipe.seed} critic round {self.round_index}",
        )
        for step, prompts in islice(enumerate(draws), first_step, config.pretrain_steps):
            if has_settled(explained, config):
                break
            metrics = self._step(context, step, prompts)
            explained.append(metrics["critic/explained_variance"])
            context.log_metrics(step, metrics)
            context.progress.advance(explained=explained[-1], tokens_per_s=metrics["rollout/tokens_per_s"])
            checkpoint.save(trainer, step + 1)
        critic = context.directory.path / "critic"
        with context.watch("save"):
            export_critic(trainer, self.base.hub, critic)
            checkpoint.finish()
        return CriticResult(
            critic=critic,
            num_steps=len(explained),
            explained_variance=float(np.mean(explained[-config.settle_window :])),
        )

    def _step(self, context: StageContext, step: int, prompts: Sequence[Prompt]) -> dict[str, float]:
        recipe, trainer, watch = context.recipe, context.engines.trainer, Stopwatch()
        with watch("generate"):
            judged = sample_step(context, step, prompts)
        with watch("judge"):
            usable = usable_rollouts(judged.rollouts, DECOUPLED_GAE)
            config = monte_carlo(recipe.rl)
            batch = packed_rollouts(usable, config)
            context.log_rollouts(step, judged.rollouts)
        with watch("values"):
            batch = with_advantages(
                batch, training_rewards(usable, config), config, values=trainer.values(batch)
            )
        with watch("train"):
            parts = mini_batches(
                batch, config.num_mini_batches, seed=f"{recipe.seed} critic {self.round_index} {step}"
            )
            rate = learning_rate(
                step, num_steps=recipe.critic.pretrain_steps, **recipe.critic.schedule.model_dump()
            )
            outcomes = trainer.update(parts, [rate] * len(parts), value_loss_spec(config))
        for phase, seconds in watch.seconds.items():
            context.watch.add(phase, seconds)
        assert context.engines.sampler.stats is not None
        return {
            **rollout_metrics(judged.rollouts, context.engines.sampler.stats),
            **time_metrics(watch),
            **critic_metrics(batch, outcomes, rate=rate),
        }

    def summary(self, result: CriticResult) -> str:
        percent = round(100 * result.explained_variance)
        return f"explains {percent}% of the variance of returns, {counted(result.num_steps, 'step')}"


def initial_checkpoint(context: StageContext) -> Path:
    """What the first critic starts from. Raises: BadInput where the recipe means a reward model that is not there."""
    init_from = context.recipe.critic.init_from
    if init_from is None:
        return context.policy.hub
    if init_from != FROM_REWARD_MODEL:
        return Path(init_from)
    path = reward_model_path(context.recipe.judging, context.run.path)
    if path is None:
        raise BadInput(f"critic.init_from={init_from}, but this recipe has no judging.reward_model")
    return path


def monte_carlo(config: RlConfig) -> RlConfig:
    """The same step with returns that do not lean on the values: lambda 1. No KL: policy and reference are one."""
    loss = config.loss.model_copy(update={"kl_coef_verifiable": 0.0, "kl_coef_general": 0.0})
    return config.model_copy(
        update={"advantage": DECOUPLED_GAE, "lambda_actor": 1.0, "lambda_critic": 1.0, "loss": loss}
    )


def has_settled(explained: Sequence[float], config: CriticConfig) -> bool:
    """True when the last ``settle_window`` steps explained less than ``settle_gain`` more than as many steps before."""
    window = config.settle_window
    if not window or len(explained) < 2 * window:
        return False
    gain = np.mean(explained[-window:]) - np.mean(explained[-2 * window : -window])
    return bool(gain < config.settle_gain)
