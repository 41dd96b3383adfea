"""Online RL: sample, judge, weigh, update, sync; again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from rl.batch import TrainBatch
from rl.checkpoint import StageCheckpoint, export_policy
from rl.judging import JudgedBatch
from rl.losses import LossSpec
from rl.policy_state import PolicyState
from rl.recipe import Recipe, RlConfig
from rl.rl_batch import mini_batches, rl_batch, usable_rollouts
from rl.rl_metrics import rollout_metrics, time_metrics, train_metrics
from rl.rollout_log import write_rollouts
from rl.run_data import RunData
from rl.run_directory import Stopwatch
from rl.schedule import learning_rate
from rl.sft_rows import epochs_of
from rl.stage import Stage, StageContext
from rl.weight_sync import Mismatch
from sampler.prompt import Prompt
from verifiers.errors import HoneError


class RlStage(Stage):
    """GRPO and its kin, by the names the recipe gives."""

    kind = "rl"
    label = "RL"

    def __init__(self, round_index: int, base: PolicyState) -> None:
        super().__init__(round_index)
        self.base = base

    def num_steps(self, recipe: Recipe, data: RunData) -> int:
        return recipe.rl.steps

    def run(self, context: StageContext) -> dict[str, Any]:
        config, engines = context.recipe.rl, context.engines
        engines.judge.check(context.data.train)
        if uses_reference(config):
            engines.trainer.load_reference(context.policy.hub)
        engines.trainer.reset_optimizer()
        engines.release()
        checkpoint = StageCheckpoint(context.directory, every_steps=config.checkpoint_every_steps)
        first_step = checkpoint.resume(engines.trainer)
        if first_step:
            engines.weight_sync.sync(context.policy.version + first_step)
            engines.weight_sync.prove()
        context.progress.advance(first_step)

        for step, prompts in islice(enumerate(self._draws(context)), first_step, config.steps):
            metrics = self._step(context, step, prompts)
            context.run.log_metrics(
                stage=context.directory.name,
                kind=self.kind,
                round_index=self.round_index,
                step=step,
                metrics=metrics,
            )
            context.progress.advance(
                reward=metrics["rollout/reward_mean"], tokens_per_s=metrics["rollout/tokens_per_s"]
            )
            checkpoint.save(engines.trainer, step + 1)

        policy = PolicyState(
            context.policy.version + config.steps, context.directory.path / "policy", context.directory.name
        )
        with context.watch("sync"):
            proof = engines.now_holds(policy)
        with context.watch("save"):
            export_policy(engines.trainer, self.base.hub, policy.hub)
            checkpoint.finish()
        logged = context.directory.metrics()  # those of a process that was killed too
        return {
            "policy": policy.to_result(context.run.path),
            "mismatch_kl_max": max(metrics["train/mismatch_kl"] for metrics in logged),
            "reward_mean_last": logged[-1]["rollout/reward_mean"],
            "proof": {"max_difference": proof.max_difference, "num_tokens": proof.num_tokens},
        }

    def _step(self, context: StageContext, step: int, prompts: Sequence[Prompt]) -> dict[str, float]:
        config, engines = context.recipe.rl, context.engines
        version, watch = context.policy.version + step, Stopwatch()
        with watch("generate"):
            judged = self._sample(context, step, prompts)
        with watch("judge"):
            engines.judge.require_judged(judged.rollouts)
            usable = usable_rollouts(judged.rollouts, config.advantage)
            if not usable:
                raise HoneError(f"step {step}: not one rollout can be learnt from, the judge decided on none")
            batch = rl_batch(usable, config)
            write_rollouts(
                context.directory.rollouts,
                judged.rollouts,
                stage=context.directory.name,
                round_index=self.round_index,
                step=step,
            )
        with watch("logprobs"):
            batch, entropy = self._with_logprobs(context, batch)
            mismatch = Mismatch.between(batch.sample_logprobs, batch.old_logprobs)
            self._require_match(config, mismatch, step)
        with watch("train"):
            parts = mini_batches(
                batch, config.mini_batches, seed=f"{context.recipe.seed} {self.round_index} {step}"
            )
            rate = learning_rate(step, num_steps=config.steps, **config.schedule.model_dump())
            outcomes = engines.trainer.update(parts, [rate] * len(parts), loss_spec(config))
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
        }

    def _sample(self, context: StageContext, step: int, prompts: Sequence[Prompt]) -> JudgedBatch:
        config = context.recipe.rl
        plan = context.engines.plan(
            stage=context.directory.name,
            step=step,
            num_samples=config.samples_per_prompt,
            max_response_tokens=config.max_response_tokens,
            temperature=config.temperature,
            top_p=config.top_p,
        )
        judged = context.engines.sample_and_judge(prompts, plan)
        if not judged.rollouts:
            raise HoneError(
                "every prompt of a step is too long for sampler.max_model_len minus "
                "rl.max_response_tokens: raise the one or lower the other"
            )
        return judged

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

    def _draws(self, context: StageContext) -> Iterator[list[Prompt]]:
        """Batches of prompts without end: epochs in seeded order, going on over rounds with other shuffles."""
        prompts = context.data.train
        places = epochs_of(len(prompts), seed=f"{context.recipe.seed} rl round {self.round_index}")
        while True:
            drawn: dict[str, Prompt] = {}
            while len(drawn) < min(context.recipe.rl.prompts_per_step, len(prompts)):
                prompt = prompts[next(places)]
                drawn[prompt.prompt_id] = prompt  # a batch that spans two epochs may meet a prompt again
            yield list(drawn.values())

    def words(self, result: Mapping[str, Any]) -> str:
        return f"reward {result['reward_mean_last']:.3f}, mismatch_kl at most {result['mismatch_kl_max']:.1g}"


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
    )


def uses_reference(config: RlConfig) -> bool:
    return bool(config.loss.kl_coef_verifiable or config.loss.kl_coef_general)
