"""Online RL: sample, judge, weigh, update, sync; again."""

from __future__ import annotations

import math
from pathlib import Path

from rl.algorithm.algorithm import Algorithm, algorithm_of
from rl.data.run_data import RunData
from rl.engines.engines import Engines
from rl.experience.prompt_source import check_source, told_source
from rl.experience.step_metrics import warnings_of
from rl.recipe.recipe import Recipe
from rl.run.results.stage_result import PolicyState, RlResult
from rl.run.stage_directory import StageDirectory
from rl.stages.critic import initial_checkpoint
from rl.stages.stage import Stage, StageContext
from rl.stages.training_step import TrainingStep, step_in_words, training_source
from rl.trainer.export import export_critic, export_policy
from verifiers.counted import counted


class RlStage(Stage[RlResult]):
    """GRPO and its kin, or PPO with a critic, by the names the recipe gives."""

    leaves = RlResult
    label = "RL"
    needs = ("sampler", "trainer", "judge")
    stream = "rl"  # of random numbers

    def __init__(
        self, round_index: int = 0, critic: Path | None = None, *, keeps_optimizer: bool = False
    ) -> None:
        """``keeps_optimizer``: goes on with the moments of the RL stage before it, as one stage in two would. A kill
        before this stage's first checkpoint loses them: the run then stops and says so."""
        super().__init__(round_index)
        self.critic = critic
        self.keeps_optimizer = keeps_optimizer

    def algorithm(self, recipe: Recipe) -> Algorithm:
        """By the recipe."""
        return algorithm_of(recipe.rl)

    def algorithm_in(self, context: StageContext) -> Algorithm:
        """The same with what only a run knows."""
        return self.algorithm(context.recipe)

    def work(self, recipe: Recipe) -> str:
        algorithm = self.algorithm(recipe)
        check_source(recipe.rl)
        rl = algorithm.config
        most = "at most " if recipe.judging.reward_model and not rl.rollouts_per_step else ""
        rollouts = counted(rl.steps * rl.num_rollouts_of_step, "rollout")
        return (
            f"{counted(rl.steps, 'step')} of {step_in_words(recipe, rl)} = {most}{rollouts}, "
            f"{counted(rl.steps * rl.num_mini_batches, 'optimizer step')} ({algorithm})"
            + (f", prompts by {told}" if (told := told_source(rl)) else "")
        )

    def expected(self, recipe: Recipe, directory: StageDirectory, policy: PolicyState | None) -> RlResult:
        algorithm = self.algorithm(recipe)
        version = policy.version + algorithm.config.steps if policy is not None else 0
        return RlResult(
            policy=PolicyState(version, directory.path / "policy", directory.name),
            critic=directory.path / "critic" if algorithm.needs_critic else None,
        )

    def num_steps(self, recipe: Recipe, data: RunData) -> int:
        return self.algorithm(recipe).config.steps

    def run(self, context: StageContext) -> RlResult:
        """All steps, going on from a checkpoint where there is one; then export, with the sync proven.

        Raises: HoneError where ``keeps_optimizer`` asks for moments that are lost."""
        recipe, engines, algorithm = context.recipe, context.engines, self.algorithm_in(context)
        config = algorithm.config
        if algorithm.needs_rewards:
            engines.judge.check(context.data.train)
        self._load_models(context, algorithm)
        source = training_source(
            context,
            algorithm,
            seed=f"{recipe.seed} {self.stream} round {self.round_index}",
            num_steps=config.steps,
        )
        checkpoint = context.checkpoint(config.checkpoint_every_steps)
        first_step = checkpoint.resume(engines.trainer, source)
        if first_step:
            engines.weight_sync.sync(context.policy.version + first_step)
            engines.weight_sync.prove()
        context.progress.advance(first_step)
        schedule = config.schedule.peaking_at(config.later_lr if self.round_index else None)

        for experience in source:
            step = TrainingStep(
                context,
                algorithm,
                experience,
                seed=f"{recipe.seed} {self.round_index}",
                num_steps=config.steps,
            )
            step.prepare()
            if algorithm.needs_critic:
                step.update_critic(recipe.critic.schedule)
            step.update_policy(schedule)
            with step.watch("sync"):
                engines.weight_sync.sync(context.policy.version + experience.step + 1)
            source.prompts.observe_kl(step.kl_by_prompt)
            metrics = step.finish()
            context.progress.advance(
                reward=metrics.get("rollout/reward_mean"), tokens_per_s=metrics["rollout/tokens_per_s"]
            )
            checkpoint.save(engines.trainer, experience.step + 1, source)
        return self._export(context, algorithm)

    def _load_models(self, context: StageContext, algorithm: Algorithm) -> None:
        """What learns and what it is held against; the trainer's weights have no name from now on."""
        engines: Engines = context.engines
        prompts = context.data.train
        frozen = {algorithm.teacher_of(prompt) for prompt in prompts} - {""}
        if algorithm.needs_reference({prompt.kind for prompt in prompts}):
            frozen.add(str(context.policy.hub))
        engines.trainer.load_frozen(sorted(frozen))
        if algorithm.needs_critic:
            engines.trainer.load_critic(self.critic or initial_checkpoint(context))
        else:
            engines.trainer.drop_critic()  # what a reward model was made of, or PPO before
        if not self.keeps_optimizer:
            engines.trainer.reset_optimizer()
        elif not context.directory.has_checkpoint:
            engines.require_moments(context.policy)
        engines.invalidate()

    def _export(self, context: StageContext, algorithm: Algorithm) -> RlResult:
        """Policy and critic for use, and the stage's result."""
        engines, path = context.engines, context.directory.path
        version = context.policy.version + algorithm.config.steps
        policy, critic = PolicyState(version, path / "policy", context.directory.name), path / "critic"
        with context.watch("sync"):
            proof = engines.mark_held(policy)
        with context.watch("save"):
            export_policy(engines.trainer, engines.base.hub, policy.hub)
            if algorithm.needs_critic:
                export_critic(engines.trainer, engines.base.hub, critic)
        logged = context.directory.metrics()  # those of a process that was killed too
        return RlResult(
            policy=policy,
            critic=critic if algorithm.needs_critic else None,
            mismatch_kl_max=max(metrics["train/mismatch_kl"] for metrics in logged),
            reward_mean_last=logged[-1].get("rollout/reward_mean", math.nan),
            proof=proof,
            warnings=warnings_of(logged, algorithm),
        )

    def summary(self, result: RlResult) -> str:
        decided = not math.isnan(result.reward_mean_last)
        reward = f"reward {result.reward_mean_last:.3f}" if decided else "no rewards"
        return f"{reward}, mismatch_kl at most {result.mismatch_kl_max:.1g}"
