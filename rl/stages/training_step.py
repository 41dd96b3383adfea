"""One step's experience on its way through the trainer: what RL and value pre-training have in common."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rl.algorithm.algorithm import Algorithm
from rl.algorithm.loss.losses import LossSpec, has_signal
from rl.algorithm.old_logprobs import SAME, Source, checked_rollouts, old_logprobs_source
from rl.data.batch import Batch
from rl.data.token_sequence import Floats
from rl.experience.experience import Experience
from rl.experience.prompt_source import prompt_source_of
from rl.experience.rollout_log import TokenFigures
from rl.experience.source import ExperienceSource
from rl.experience.step_metrics import (
    Mismatch,
    critic_metrics,
    kl_by_prompt,
    kl_metrics,
    rollout_metrics,
    teacher_metrics,
    time_metrics,
    train_metrics,
    warnings_of,
)
from rl.experience.training_batch import mini_batches, packed_rollouts, with_advantages
from rl.recipe.recipe import Recipe
from rl.recipe.rl_config import RlConfig
from rl.recipe.trainer_config import ScheduleConfig
from rl.run.run_history import RunPast
from rl.run.stopwatch import Stopwatch
from rl.stages.stage import StageContext
from verifiers.counted import counted
from verifiers.errors import HoneError

if TYPE_CHECKING:
    from rl.trainer.held_batch import HeldBatch


def training_source(
    context: StageContext, algorithm: Algorithm, *, seed: str, num_steps: int
) -> ExperienceSource:
    """Experience of the training prompts, for a stage that learns, in an order that depends on ``seed``."""
    config, engines = algorithm.config, context.engines
    plan = context.plan(
        num_samples=config.samples_per_prompt,
        num_samples_by_kind={"general": config.samples_per_general_prompt},
        max_response_tokens=config.max_response_tokens,
        temperature=config.temperature,
        top_p=config.top_p,
    )
    # A rule may ask for the KL that the recipe has, although value pre-training and a teacher have none.
    of_recipe = config.model_copy(update={"loss": context.recipe.rl.loss})
    prompts = prompt_source_of(context.data.train, of_recipe, seed=seed)
    right_score = context.recipe.evaluation.pass_score
    prompts.recall(RunPast(context.run.path, context.policy.version, right_score))
    return ExperienceSource(
        engines.sampler,
        engines.judge,
        prompts,
        plan,
        step_size=config.rollouts_per_step or config.prompts_per_step,
        num_steps=num_steps,
        algorithm=algorithm,
        requires_judged=algorithm.needs_rewards,
    )


def step_in_words(recipe: Recipe, rl: RlConfig) -> str:
    """What a step samples, for a dry run: "16 prompts x 8 samples"."""
    samples = counted(rl.samples_per_prompt, "sample")
    if recipe.judging.reward_model is not None:
        samples += f" (of a general prompt {rl.samples_per_general_prompt})"
    if rl.rollouts_per_step is not None:
        return f"{counted(rl.rollouts_per_step, 'rollout')}, {samples} a prompt"
    return f"{counted(rl.prompts_per_step, 'prompt')} x {samples}"


class TrainingStep:
    """From an `Experience` to optimizer steps of the critic, the policy, or both, and the figures of the step:
    ``prepare``, then the updates, then ``finish``.

    Mini-batches are shuffled by ``seed`` and the step. ``num_steps`` is how many the schedules are for.
    """

    batch: Batch  # these three from `prepare` on
    parts: Sequence[Sequence[int]]  # the rows of each mini-batch
    held: HeldBatch

    def __init__(
        self,
        context: StageContext,
        algorithm: Algorithm,
        experience: Experience,
        *,
        seed: str,
        num_steps: int,
    ) -> None:
        self.context = context
        self.algorithm = algorithm
        self.experience = experience
        self.seed = seed
        self.num_steps = num_steps
        self.watch = Stopwatch()
        self.metrics: dict[str, float] = {}
        self.teachers = [algorithm.teacher_of(one.prompt) for one in experience.usable]
        self.kl_by_prompt: dict[str, float] = {}
        self.trainer_logprobs: Floats | None = None
        self.entropies: Floats | None = None

    def prepare(self) -> None:
        """Hold the rollouts that are learnt from on the trainer, compute what the algorithm needs of them, and log all
        rollouts. Raises: HoneError where sampler and trainer disagree."""
        context, experience = self.context, self.experience
        self._hold()
        if self.algorithm.config.log_tokens:  # the log keeps what is computed
            self._compute()
            with self.watch("judge"):
                context.log_rollouts(experience.step, experience.rollouts, tokens=self._token_figures())
            return
        with ThreadPoolExecutor(1) as writer:  # the disk is written to while the trainer works
            logged = writer.submit(context.log_rollouts, experience.step, experience.rollouts)
            self._compute()
            with self.watch("judge"):
                logged.result()

    def _hold(self) -> None:
        """Pack what is learnt from into mini-batches, which the trainer keeps until the step is over."""
        experience, config = self.experience, self.algorithm.config
        self.watch.include(experience.seconds)
        self.metrics = rollout_metrics(experience.counted, experience.stats)
        self.metrics["rollout/left_out_frac"] = len(experience.left_out) / len(experience.rollouts)
        with self.watch("judge"):
            right_score = self.context.recipe.evaluation.pass_score
            self.batch = packed_rollouts(
                experience.usable, config, right_score=right_score, shares=experience.shares
            )
        seed = f"{self.seed} {experience.step}"
        self.parts = mini_batches(self.batch.prompt_ids, config.num_mini_batches, seed=seed)
        self.held = self.context.engines.trainer.hold(self.batch, self.parts)

    def _token_figures(self) -> dict[str, TokenFigures]:
        """By rollout id what is known of each token, of the rollouts that are learnt from."""
        known = (self.trainer_logprobs, self.entropies, self.batch.column("advantages"))
        rows = [None if values is None else self.batch.rows(values) for values in known]
        return {
            rollout_id: TokenFigures(*(None if of is None else of[i] for of in rows))
            for i, rollout_id in enumerate(self.batch.sequence_ids)
        }

    def _compute(self) -> None:
        """The critic's values, advantages, log-probabilities, the reference's: what the algorithm needs of them."""
        algorithm = self.algorithm
        with self.watch("values"):
            values = self.held.values() if algorithm.needs_critic else None
        of_teacher = any(self.teachers) and not algorithm.policy_loss.teacher_coef
        # Advantages that depend on log-probabilities come after these.
        comes_first = of_teacher or algorithm.config.loss.kl_in == "reward"
        if algorithm.needs_logprobs and comes_first:
            self._add_logprobs(np.ones(len(self.batch), bool))
        if of_teacher:
            self._add_teacher()
        with self.watch("values"):
            learnt = [one.reward.learnt for one in self.experience.usable]
            # Without a decision there is a rollout only where a teacher teaches alone: its reward counts for nothing.
            rewards = [0.0 if reward is None else reward.value for reward in learnt]
            self.batch = with_advantages(self.batch, rewards, algorithm, values=values)
        if algorithm.needs_logprobs and not comes_first:
            self._add_logprobs(has_signal(algorithm.policy_loss, self.batch))

    def _add_logprobs(self, needed: npt.NDArray[np.bool_]) -> None:
        """Adds the policy's log-probabilities before its update, of the sequences that are ``needed``, [n]: computed
        now, or the sampler's; or neither, where the update computes them itself. And the reference's.

        Raises: HoneError where sampler and trainer disagree."""
        config, batch = self.algorithm.config, self.batch
        with self.watch("logprobs"):
            old, checked = self._checked_logprobs()
            known, source = checked, self._source()
            if source == "sampler":
                old, known = batch.column("sample_logprobs"), np.ones(len(batch), bool)
            elif source == "trainer":
                known = checked | needed
                if (rest := known & ~checked).any():
                    old = old + self.held.logprobs(config.temperature, where=rest)[0]
            if source != "update":
                self.batch = batch.with_columns(old_logprobs=old)
            self.metrics["train/recomputed_frac"] = float(np.mean(known if source == "trainer" else checked))
            self._add_reference(old, known, checked)

    def _checked_logprobs(self) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """The trainer's log-probabilities of every eighth rollout, or of all where the log keeps each token's; and
        which sequences these are, [n]. The sampler's are compared with them.

        Raises: HoneError where the two disagree."""
        config, batch = self.algorithm.config, self.batch
        checked = checked_rollouts(len(batch), self.experience.step)
        if config.log_tokens:
            checked = np.ones(len(batch), bool)
        old, entropy = self.held.logprobs(config.temperature, where=checked)
        shown = np.repeat(checked, batch.loss_lengths)
        self.entropy = float(entropy[shown].mean())
        if config.log_tokens:
            self.trainer_logprobs, self.entropies = old, entropy
        self.mismatch = Mismatch.between(batch.column("sample_logprobs")[shown], old[shown])
        self._require_match()
        return old, checked

    def _source(self) -> Source:
        """Whose log-probabilities serve; not the sampler's by default where the check shows that they differ."""
        config, recipe = self.algorithm.config, self.context.recipe
        in_float32 = recipe.model.dtype == recipe.sampler.dtype == "float32"
        in_float32 = in_float32 and self.mismatch.max_difference <= SAME
        return old_logprobs_source(config, in_float32=in_float32)

    def _add_reference(
        self, old: Floats, known: npt.NDArray[np.bool_], checked: npt.NDArray[np.bool_]
    ) -> None:
        """The reference's log-probabilities of what is held to it; of other kinds the checked ones, for their figures.
        ``old`` are those of the sequences that are ``known``."""
        kinds = [one.prompt.kind for one in self.experience.usable]
        if not self.algorithm.needs_reference(set(kinds)):
            return
        asked = checked | (self.batch.scalars["kl_coef"] != 0)
        reference, _ = self.held.logprobs(
            self.algorithm.config.temperature, of=[str(self.context.policy.hub)] * len(kinds), where=asked
        )
        compared = np.flatnonzero(known & asked)
        both = self.batch.with_columns(old_logprobs=old, ref_logprobs=reference).select(compared.tolist())
        self.metrics |= kl_metrics(both, [kinds[i] for i in compared])
        self.kl_by_prompt = kl_by_prompt(both)
        self.batch = self.batch.with_columns(ref_logprobs=reference)

    def _add_teacher(self) -> None:
        """What the teachers' advantages are made of."""
        with self.watch("logprobs"):
            teacher, _ = self.held.logprobs(self.algorithm.config.temperature, of=self.teachers)
        self.batch = self.batch.with_columns(teacher_logprobs=teacher)
        self.metrics |= teacher_metrics(self.batch)

    def _require_match(self) -> None:
        """With nucleus sampling the two are not comparable: the sampler renormalises over the nucleus."""
        config = self.algorithm.config
        if config.top_p == 1.0 and not self.mismatch.kl <= config.max_mismatch_kl:
            raise HoneError(
                f"step {self.experience.step}: sampler and trainer disagree on the sampled tokens, mismatch_kl "
                f"{self.mismatch.kl:.3g} above rl.max_mismatch_kl={config.max_mismatch_kl}: the sync or the vision "
                "inputs are wrong"
            )

    def update_critic(self, schedule: ScheduleConfig) -> None:
        """Its optimizer steps on the mini-batches, before the policy's."""
        with self.watch("critic"):
            rate, outcomes = self._update(self.algorithm.value_loss, schedule)
        self.metrics |= critic_metrics(self.batch, outcomes, rate=rate)

    def update_policy(self, schedule: ScheduleConfig) -> None:
        """Its optimizer steps on the mini-batches."""
        with self.watch("train"):
            rate, outcomes = self._update(self.algorithm.policy_loss, schedule)
        self.metrics |= train_metrics(outcomes, self.mismatch, self.watch, rate=rate, entropy=self.entropy)

    def _update(self, loss: LossSpec, schedule: ScheduleConfig) -> tuple[float, list[dict[str, float]]]:
        """The learning rate and each mini-batch's figures."""
        rate = schedule.rate(self.experience.step, self.num_steps)
        return rate, self.held.update(self.batch, [rate] * len(self.parts), loss, self.teachers)

    def finish(self) -> dict[str, float]:
        """The step is over: its figures, which are logged, with the time of each phase, which counts for the stage."""
        self.context.watch.include(self.watch.seconds)
        self.metrics |= time_metrics(self.watch)
        if not self.experience.step:  # the first one says it at once, all of them when the stage has ended
            for warning in warnings_of([self.metrics], self.algorithm):
                self.context.progress.warn(warning)
        self.context.log_metrics(self.experience.step, self.metrics)
        return self.metrics
