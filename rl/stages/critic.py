"""Value pre-training: the critic learns the returns of the SFT policy before the actor moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rl.algorithm.algorithm import algorithm_of
from rl.algorithm.monte_carlo import MonteCarlo
from rl.data.run_data import RunData
from rl.experience.step_metrics import warnings_of
from rl.recipe.recipe import Recipe
from rl.recipe.rl_config import FROM_REWARD_MODEL, CriticConfig
from rl.run.results.stage_result import CriticResult, PolicyState
from rl.run.stage_directory import StageDirectory
from rl.stages.stage import Stage, StageContext
from rl.stages.training_step import TrainingStep, step_in_words, training_source
from rl.trainer.export import export_critic
from verifiers.counted import counted
from verifiers.errors import BadInput


class CriticStage(Stage[CriticResult]):
    """Rollouts of a policy that stays as it is; the critic fits their Monte-Carlo returns (VC-PPO, 2503.01491, section
    3.2) until the variance it explains settles, or for ``critic.pretrain_steps``.

    ``start`` is the checkpoint it begins with: the last round's critic; None for ``critic.init_from``, else the policy.
    """

    leaves = CriticResult
    label = "critic"
    needs = ("sampler", "trainer", "judge")

    def __init__(self, round_index: int = 0, start: Path | None = None) -> None:
        super().__init__(round_index)
        self.start = start

    def work(self, recipe: Recipe) -> str:
        steps = counted(recipe.critic.pretrain_steps, "step")
        return f"at most {steps} of {step_in_words(recipe, recipe.rl)}"

    def expected(self, recipe: Recipe, directory: StageDirectory, policy: PolicyState | None) -> CriticResult:
        return CriticResult(critic=directory.path / "critic")

    def num_steps(self, recipe: Recipe, data: RunData) -> int:
        return recipe.critic.pretrain_steps

    def inputs(self) -> Mapping[str, Any]:
        return {"critic": None if self.start is None else self.start.parent.name}

    def run(self, context: StageContext) -> CriticResult:
        """Fit returns step by step until settled or done; goes on from a checkpoint; exports the critic."""
        recipe, config, trainer = context.recipe, context.recipe.critic, context.engines.trainer
        algorithm = MonteCarlo(algorithm_of(recipe.rl))
        trainer.load_critic(self.start or initial_checkpoint(context))
        source = training_source(
            context,
            algorithm,
            seed=f"{recipe.seed} critic round {self.round_index}",
            num_steps=config.pretrain_steps,
        )
        checkpoint = context.checkpoint(recipe.rl.checkpoint_every_steps)
        context.progress.advance(checkpoint.resume(trainer, source))
        explained = [metrics["critic/explained_variance"] for metrics in context.directory.metrics()]
        while not has_settled(explained, config) and (experience := next(source, None)):
            step = TrainingStep(
                context,
                algorithm,
                experience,
                seed=f"{recipe.seed} critic {self.round_index}",
                num_steps=config.pretrain_steps,
            )
            step.prepare()
            step.update_critic(config.schedule)
            metrics = step.finish()
            explained.append(metrics["critic/explained_variance"])
            context.progress.advance(explained=explained[-1], tokens_per_s=metrics["rollout/tokens_per_s"])
            checkpoint.save(trainer, experience.step + 1, source)
        critic = context.directory.path / "critic"
        with context.watch("save"):
            export_critic(trainer, context.engines.base.hub, critic)
        return CriticResult(
            critic=critic,
            num_steps=len(explained),
            explained_variance=float(np.mean(explained[-(config.settle_window or 1) :])),
            warnings=warnings_of(context.directory.metrics(), algorithm),
        )

    def summary(self, result: CriticResult) -> str:
        percent = round(100 * result.explained_variance)
        return f"explains {percent}% of the variance of returns, {counted(result.num_steps, 'step')}"


def initial_checkpoint(context: StageContext) -> Path:
    """What the first critic starts from, to be pre-trained or not. Raises: BadInput where the recipe means a reward
    model that is not there."""
    init_from = context.recipe.critic.init_from
    if init_from is None:
        return context.policy.hub
    if init_from != FROM_REWARD_MODEL:
        return Path(init_from)
    path = context.engines.reward_model
    if path is None:
        raise BadInput(
            f"critic.init_from={init_from}, but judging.reward_model has no checkpoint to start from"
        )
    return path


def has_settled(explained: Sequence[float], config: CriticConfig) -> bool:
    """True when the last ``settle_window`` steps explained less than ``settle_gain`` more than as many steps before."""
    window = config.settle_window
    if not window or len(explained) < 2 * window:
        return False
    gain = np.mean(explained[-window:]) - np.mean(explained[-2 * window : -window])
    return bool(gain < config.settle_gain)
