"""Online RL: sample, judge, weigh, update, sync; again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from rl.algorithm.algorithm import GROUP_RELATIVE, NEEDS_CRITIC
from rl.algorithm.losses import VALUE_LOSS, LossSpec
from rl.algorithm.schedule import learning_rate
from rl.data.batch import TrainBatch
from rl.data.failed_batch import require_finite
from rl.data.prompt_source import step_draws
from rl.data.run_data import RunData
from rl.experience.experience import sample_informative, sample_step
from rl.experience.judge import JudgedBatch, JudgedRollout
from rl.experience.step_metrics import (
    Mismatch,
    critic_metrics,
    kl_metrics,
    rollout_metrics,
    time_metrics,
    train_metrics,
)
from rl.experience.training_batch import (
    mini_batches,
    packed_rollouts,
    training_rewards,
    usable_rollouts,
    with_advantages,
)
from rl.recipe.recipe import Recipe
from rl.recipe.rl_config import RlConfig
from rl.run.policy_state import PolicyState
from rl.run.stage_result import RlResult
from rl.run.stopwatch import Stopwatch
from rl.stages.stage import Stage, StageContext
from rl.trainer.checkpoint import StageCheckpoint, export_critic, export_policy
from sampler.prompt import Prompt
from verifiers.errors import BadInput, HoneError


class RlStage(Stage[RlResult]):
    """GRPO and its kin, or PPO with a critic, by the names the recipe gives."""

    leaves = RlResult
    label = "RL"

    def __init__(self, round_index: int, base: PolicyState, critic: Path | None = None) -> None:
        super().__init__(round_index)
        self.base = base
        self.critic = critic

    def num_steps(self, recipe: Recipe, data: RunData) -> int:
        return recipe.rl.steps

    def run(self, context: StageContext) -> RlResult:
        """All steps, going on from a checkpoint where there is one; then export, with the sync proven."""
        config, engines = context.recipe.rl, context.engines
        engines.judge.check(context.data.train)
        require_groups(context.data.train, config)
        if uses_reference(config):
            engines.trainer.load_reference(context.policy.hub)
        if uses_critic(config):
            engines.trainer.load_critic(self.critic or context.policy.hub)
        engines.trainer.reset_optimizer()
        engines.invalidate()
        checkpoint = StageCheckpoint(context.directory, every_steps=config.checkpoint_every_steps)
        first_step = checkpoint.resume(engines.trainer)
        if first_step:
            engines.weight_sync.sync(context.policy.version + first_step)
            engines.weight_sync.prove()
        context.progress.advance(first_step)

        draws = step_draws(context.data.train, config, seed=self._seed(context))
        for step, prompts in islice(enumerate(draws), first_step, config.steps):
            metrics = self._step(context, step, prompts)
            context.log_metrics(step, metrics)
            context.progress.advance(
                reward=metrics["rollout/reward_mean"], tokens_per_s=metrics["rollout/tokens_per_s"]
            )
            checkpoint.save(engines.trainer, step + 1)

        policy = PolicyState(
            context.policy.version + config.steps, context.directory.path / "policy", context.directory.name
        )
        with context.watch("sync"):
            proof = engines.mark_held(policy)
        with context.watch("save"):
            export_policy(engines.trainer, self.base.hub, policy.hub)
            critic = context.directory.path / "critic"
            if uses_critic(config):
                export_critic(engines.trainer, self.base.hub, critic)
            checkpoint.finish()
        logged = context.directory.metrics()  # those of a process that was killed too
        return RlResult(
            policy=policy,
            critic=critic if uses_critic(config) else None,
            mismatch_kl_max=max(metrics["train/mismatch_kl"] for metrics in logged),
            reward_mean_last=logged[-1]["rollout/reward_mean"],
            proof=proof,
        )

    def _step(self, context: StageContext, step: int, prompts: Sequence[Prompt]) -> dict[str, float]:
        config, engines = context.recipe.rl, context.engines
        version, watch = context.policy.version + step, Stopwatch()
        with watch("generate"):
            judged, usable = self._sample(context, step, prompts)
        with watch("judge"):
            batch = packed_rollouts(usable, config, right_score=context.recipe.evaluation.pass_score)
            context.log_rollouts(step, judged.rollouts)
        with watch("logprobs"):
            batch, entropy = self._with_logprobs(context, batch)
            mismatch = Mismatch.between(batch.sample_logprobs, batch.old_logprobs)
            self._require_match(config, mismatch, step)
        with watch("values"):
            values = engines.trainer.values(batch) if uses_critic(config) else None
            batch = with_advantages(batch, training_rewards(usable, config), config, values=values)
        parts = mini_batches(
            batch, config.num_mini_batches, seed=f"{context.recipe.seed} {self.round_index} {step}"
        )
        critic = self._update_critic(context, step, batch, parts, watch) if uses_critic(config) else {}
        with watch("train"):
            rate = learning_rate(step, num_steps=config.steps, **config.schedule.model_dump())
            outcomes = engines.trainer.update(parts, [rate] * len(parts), loss_spec(config))
            require_finite(outcomes, parts, context.directory.path, f"policy, step {step}")
        with watch("sync"):
            engines.weight_sync.sync(version + 1)
        # Verdicts that came after the last response are judging, not generation.
        watch.add("generate", -judged.wait_s)
        watch.add("judge", judged.wait_s)
        for phase, seconds in watch.seconds.items():
            context.watch.add(phase, seconds)
        assert engines.sampler.stats is not None
        return {
            **rollout_metrics(judged.rollouts, engines.sampler.stats),
            **time_metrics(watch),
            **train_metrics(batch, outcomes, mismatch, watch, rate=rate, entropy=entropy),
            **(kl_metrics(batch, [one.prompt.kind for one in usable]) if uses_reference(config) else {}),
            **critic,
        }

    def _sample(
        self, context: StageContext, step: int, prompts: Sequence[Prompt]
    ) -> tuple[JudgedBatch, list[JudgedRollout]]:
        """All rollouts of the step, and those that are learnt from."""
        config = context.recipe.rl
        if config.dynamic_sampling:
            judged, kept = sample_informative(context, step, prompts, seed=self._seed(context))
        else:
            judged = sample_step(context, step, prompts)
            kept = judged.rollouts
        usable = usable_rollouts(kept, config.advantage)
        if not usable:
            raise HoneError(
                f"step {step}: not one rollout can be learnt from: "
                + (
                    "all groups had equal rewards, also after rl.max_refills further draws"
                    if config.dynamic_sampling
                    else "the judge decided on none"
                )
            )
        return judged, usable

    def _update_critic(
        self,
        context: StageContext,
        step: int,
        batch: TrainBatch,
        parts: Sequence[TrainBatch],
        watch: Stopwatch,
    ) -> dict[str, float]:
        """The critic's optimizer steps on the same mini-batches, before the actor's. Returns ``critic/*``."""
        recipe = context.recipe
        with watch("critic"):
            rate = learning_rate(step, num_steps=recipe.rl.steps, **recipe.critic.schedule.model_dump())
            outcomes = context.engines.trainer.update(parts, [rate] * len(parts), value_loss_spec(recipe.rl))
            require_finite(outcomes, parts, context.directory.path, f"critic, step {step}")
        return critic_metrics(batch, outcomes, rate=rate)

    def _with_logprobs(self, context: StageContext, batch: TrainBatch) -> tuple[TrainBatch, float]:
        """Old log-probabilities, recomputed by the trainer, and the reference's where a KL is asked for."""
        config, trainer = context.recipe.rl, context.engines.trainer
        old, entropy = trainer.logprobs(batch, temperature=config.temperature)
        batch = batch.replace(old_logprobs=old)
        if uses_reference(config):
            reference, _ = trainer.logprobs(batch, temperature=config.temperature, of_reference=True)
            batch = batch.replace(ref_logprobs=reference)
        return batch, float(entropy.mean())

    def _require_match(self, config: RlConfig, mismatch: Mismatch, step: int) -> None:
        """With nucleus sampling the two are not comparable: the sampler renormalises over the nucleus."""
        if config.top_p == 1.0 and not mismatch.kl <= config.max_mismatch_kl:
            raise HoneError(
                f"step {step}: sampler and trainer disagree on the sampled tokens, mismatch_kl "
                f"{mismatch.kl:.3g} above rl.max_mismatch_kl={config.max_mismatch_kl}: the sync or the "
                "vision inputs are wrong"
            )

    def _seed(self, context: StageContext) -> str:
        """Of the order of prompts: other rounds shuffle them otherwise."""
        return f"{context.recipe.seed} rl round {self.round_index}"

    def summary(self, result: RlResult) -> str:
        return f"reward {result.reward_mean_last:.3f}, mismatch_kl at most {result.mismatch_kl_max:.1g}"


def require_groups(prompts: Sequence[Prompt], config: RlConfig) -> None:
    """Raises: BadInput where an estimator compares the responses of a prompt that is sampled once."""
    single = next((prompt for prompt in prompts if prompt.kind == "general"), None)
    if single is None or config.samples_per_general_prompt > 1:
        return
    if config.advantage in GROUP_RELATIVE:
        raise BadInput(
            f"rl.advantage={config.advantage!r} compares responses of one prompt, but general prompts "
            f"({single.prompt_id} is the first) have a single one: raise rl.samples_per_general_prompt, or use "
            "decoupled_gae, whose critic needs no group"
        )


def loss_spec(config: RlConfig) -> LossSpec:
    """The trainer's loss from the recipe's section."""
    loss = config.loss
    return LossSpec(
        name=loss.policy_loss,
        clip_low=loss.clip_low,
        clip_high=loss.clip_high,
        aggregation=loss.aggregation,
        kl_estimator=loss.kl_estimator,
        entropy_coef=loss.entropy_coef,
        temperature=config.temperature,
        positive_nll_coef=loss.positive_nll_coef,
        importance=loss.importance,
        importance_cap=loss.importance_cap,
    )


def value_loss_spec(config: RlConfig) -> LossSpec:
    """The critic's loss from the recipe's section."""
    return LossSpec(VALUE_LOSS, value_clip=config.loss.value_clip)


def uses_critic(config: RlConfig) -> bool:
    return config.advantage in NEEDS_CRITIC


def uses_reference(config: RlConfig) -> bool:
    return bool(config.loss.kl_coef_verifiable or config.loss.kl_coef_general)
