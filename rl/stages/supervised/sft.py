"""Supervised fine-tuning at the start of a round: cold-start rows, and the harvests of the rounds before."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from rl.algorithm.loss.losses import SFT_LOSS, LossSpec
from rl.data.batch import Batch
from rl.data.run_data import RunData
from rl.data.sft_batches import num_packs, sft_packs
from rl.data.token_sequence import TokenSequence
from rl.data.validation_slice import validation_prompts
from rl.engines.engines import EngineName
from rl.recipe.recipe import Recipe
from rl.recipe.sft_config import SftConfig
from rl.run.results.stage_result import HarvestResult, PolicyState, SftResult
from rl.run.stage_directory import StageDirectory
from rl.stages.checkpoint import StageCheckpoint
from rl.stages.stage import Stage, StageContext
from rl.stages.supervised.cold_start import cold_start_rows
from rl.stages.supervised.replay import REPLAY_BEFORE, REPLAY_METRIC, ReplayLoss
from rl.stages.supervised.sft_rows import SftRows
from rl.stages.supervised.supervised_loop import StepCall, step_calls, step_metrics
from rl.stages.supervised.validation import VALIDATION_METRIC, Validation, validation_words
from rl.trainer.export import export_policy
from verifiers.counted import counted
from verifiers.errors import BadInput


class SftStage(Stage[SftResult]):
    """Next-token loss on responses. Later rounds start from the base policy or from the last, as the recipe says."""

    leaves = SftResult
    label = "SFT"
    needs: ClassVar[tuple[EngineName, ...]] = ("trainer",)

    def __init__(
        self,
        round_index: int = 0,
        harvests: Sequence[HarvestResult] = (),
        cold_started: PolicyState | None = None,
    ) -> None:
        """``cold_started``: the policy that the first SFT left, which ``sft.later_cold_start_min_ratio`` asks."""
        super().__init__(round_index)
        self.harvests = [harvest for harvest in harvests if harvest.rows is not None]
        self.cold_started = cold_started

    def work(self, recipe: Recipe) -> str:
        """Raises: BadInput where nothing is named that could have rows."""
        sft, later = recipe.sft, self.round_index > 0
        epochs = sft.later_epochs if later and sft.later_epochs else sft.epochs
        unit = "sequence" if sft.pack_tokens is None else f"{sft.pack_tokens:,}-token pack"
        kept = f"{sft.later_cold_start_frac:.0%} of " if later else ""
        kept = f"what RL left of {kept}" if later and sft.later_cold_start_min_ratio else kept
        cold_start = f"{kept}the cold-start rows" if recipe.data.has_cold_start else ""
        replayed = (
            f"{counted(sft.later_replay_rows, 'rollout')} of RL" if later and sft.later_replay_rows else ""
        )
        harvested = "all harvests" if self.harvests else ""
        rows = " and ".join(filter(None, (cold_start, harvested, replayed)))
        if not rows:
            raise BadInput(
                f"{self.title} has no rows to learn from: name data.cold_start, or hand it harvests"
            )
        kl = f", {sft.later_kl_coef:g} KL to the policy before" if later and sft.later_kl_coef else ""
        validated = validation_words(recipe) if later else ""
        return f"{epochs_words(epochs)} of {rows}, {counted(sft.batch_size, unit)} a step{kl}{validated}"

    def expected(self, recipe: Recipe, directory: StageDirectory, policy: PolicyState | None) -> SftResult:
        version = policy.version + 1 if policy is not None else 0
        return SftResult(policy=PolicyState(version, directory.path / "policy", directory.name))

    def num_steps(self, recipe: Recipe, data: RunData) -> int | None:
        sft = recipe.sft
        choices = (sft.later_cold_start_min_ratio, sft.later_replay_rows, sft.later_validation_prompts)
        chooses = any(choice is not None for choice in choices)
        if sft.pack_tokens is not None or (self.round_index and chooses):
            return None  # known when the rows are tokenised, and when they are chosen
        kept = cold_start_rows(data.cold_start, recipe, self.round_index)
        num_harvested = sum(harvest.num_kept for harvest in self.harvests)
        return num_sft_steps(sft, rows_seen(sft, self.round_index, len(kept) + num_harvested))

    def needs_of(self, recipe: Recipe) -> tuple[EngineName, ...]:
        validates = self.round_index and recipe.sft.later_validation_prompts is not None
        return (*self.needs, "sampler", "judge") if validates else self.needs

    def inputs(self) -> Mapping[str, Any]:
        return {"harvests": [harvest.stage for harvest in self.harvests]}

    def run(self, context: StageContext) -> SftResult:
        """Encode the rows, train on them, sync and prove, export. Raises: BadInput also in the first round where there
        are too few prompts to validate later ones on."""
        config, trainer, engines = context.recipe.sft, context.engines.trainer, context.engines
        engines.invalidate()
        trainer.drop_critic()
        validated_on = validation_prompts(context.data.train, context.recipe)
        validation = Validation(context, validated_on if self.round_index else [])
        rows = SftRows.of(context, self.harvests, self.cold_started, validated_on)
        with context.watch("logprobs"):
            replay_loss = ReplayLoss(trainer, Batch.of(rows.measured) if rows.measured else None)
        if self.round_index:
            trainer.load_frozen([str(context.policy.hub)] if config.later_kl_coef else [])
        if self.round_index and config.start_from == "base":
            trainer.load_weights(engines.base.hub)
        trainer.reset_optimizer()
        checkpoint = context.checkpoint(config.checkpoint_every_steps)
        self._train(context, rows.sequences, checkpoint, validation, replay_loss)
        trainer.load_frozen([])
        seen = tuple(validation.seen)
        version, path = context.policy.version + len(seen) + 1, context.directory.path / "policy"
        policy = PolicyState(version, path, context.directory.name)
        with context.watch("sync"):
            proof = engines.publish(policy)
        with context.watch("save"):
            export_policy(trainer, engines.base.hub, policy.hub)
            validation.finish()
        logged, best = context.directory.metrics(), SftResult.best_of(seen)
        return SftResult(
            policy=policy,
            num_rows=rows.num_by_source,
            num_dropped_too_long=rows.num_too_long,
            final_loss=logged[-1]["train/loss"],
            proof=proof,
            validations=seen,
            replay_loss_before=logged[0].get(REPLAY_BEFORE),
            replay_loss_after=logged[best.step - 1 if best else -1].get(REPLAY_METRIC),
            warnings=rows.warnings + validation.warnings,
        )

    def _train(
        self,
        context: StageContext,
        sequences: Sequence[TokenSequence],
        checkpoint: StageCheckpoint,
        validation: Validation,
        replay_loss: ReplayLoss,
    ) -> None:
        """All steps, or until a validation says that it is enough, going on from a checkpoint where there is one; the
        trainer then holds the weights to export."""
        config, trainer = context.recipe.sft, context.engines.trainer
        loss = LossSpec(SFT_LOSS, teacher_coef=config.later_kl_coef if self.round_index else 0.0)
        calls, num_steps = self._calls(context, sequences, checkpoint, validation)
        for call in calls:
            batches = [
                Batch.of([sequences[index] for pack in packs for index in pack]) for packs in call.batches
            ]
            with context.watch("train"):
                held_to = [str(context.policy.hub)] * sum(map(len, batches)) if loss.teacher_coef else None
                outcomes = trainer.update(batches, call.rates, loss, held_to)
            figures = [
                step_metrics(outcome, rate) | sft_metrics(outcome, batch)
                for batch, rate, outcome in zip(batches, call.rates, outcomes, strict=True)
            ]
            if call.steps.start == 0:
                figures[0] |= replay_loss.before
            if call.steps.stop == num_steps or validation.is_due(call.steps.stop):
                figures[-1] |= validation.run(call.steps.stop)
                figures[-1] |= replay_loss.now()
            for step, of_step in zip(call.steps, figures, strict=True):
                context.log_metrics(step, of_step)
            context.progress.advance(len(batches), **progress_values(outcomes, figures[-1], batches))
            if validation.is_over:
                break
        validation.load_best()

    def _calls(
        self,
        context: StageContext,
        sequences: Sequence[TokenSequence],
        checkpoint: StageCheckpoint,
        validation: Validation,
    ) -> tuple[Iterator[StepCall[list[int]]], int]:
        """The steps that are left, of packs of indices into ``sequences``; and how many there are in all."""
        config = context.recipe.sft
        lengths = [len(sequence.token_ids) for sequence in sequences]
        seed = f"{context.recipe.seed} {context.directory.name}"
        num_rows = rows_seen(config, self.round_index, len(sequences))
        num_steps = num_sft_steps(
            config, num_packs(lengths, config.pack_tokens, seed=seed, num_rows=num_rows)
        )
        if not validation.prompts:  # with some it may end earlier
            context.progress.total_steps = num_steps
        calls = step_calls(
            sft_packs(lengths, config.pack_tokens, seed=seed),
            num_steps=num_steps,
            batch_size=config.batch_size,
            schedule=config.schedule.peaking_at(config.later_lr if self.round_index else None),
            trainer=context.engines.trainer,
            checkpoint=checkpoint,
            progress=context.progress,
            source=validation if validation.prompts else None,
            every_steps=validation.every_steps,
        )
        return calls, num_steps

    def summary(self, result: SftResult) -> str:
        words = f"loss {result.final_loss:.3f} on {counted(sum(result.num_rows.values()), 'row')}"
        if result.num_dropped_too_long:
            words += f", {result.num_dropped_too_long:,} too long left out"
        before, after = result.replay_loss_before, result.replay_loss_after
        if before is not None and after is not None:
            words += f"; loss on right answers of RL {before:.3f} → {after:.3f}"
        if best := SftResult.best_of(result.validations):
            validations = counted(len(result.validations), "validation")
            words += f"; pass@1 {best.pass_at_1:.1%} after step {best.step}, the best of {validations}"
        return words


def rows_seen(config: SftConfig, round_index: int, num_rows: int) -> int:
    """Rows of all epochs of a round's SFT."""
    epochs = config.later_epochs if round_index and config.later_epochs is not None else config.epochs
    return math.ceil(epochs * num_rows)


def num_sft_steps(config: SftConfig, num_packs: int) -> int:
    """Optimizer steps that cover so many packs (rows, where rows are not packed) in whole batches."""
    return max(1, math.ceil(num_packs / config.batch_size))


def sft_metrics(outcome: Mapping[str, float], batch: Batch) -> dict[str, float]:
    """Of a step, beside what every kind of training logs: tokens a second, and with ``sft.later_kl_coef`` the KL to the
    policy before this SFT, in nats a token."""
    kl = {"train/ref_kl": outcome["teacher_kl"]} if "teacher_kl" in outcome else {}
    return kl | {"train/tokens_per_s": batch.num_tokens / outcome["seconds"]}


def progress_values(
    outcomes: Sequence[Mapping[str, float]], figures: Mapping[str, float], batches: Sequence[Batch]
) -> dict[str, float | None]:
    """What the progress says of a call's steps."""
    num_tokens, seconds = (
        sum(batch.num_tokens for batch in batches),
        sum(one["seconds"] for one in outcomes),
    )
    return {
        "loss": outcomes[-1]["loss"],
        "tokens_per_s": num_tokens / seconds,
        "validation": figures.get(VALIDATION_METRIC),
        "replay_loss": figures.get(REPLAY_METRIC),
    }


def epochs_words(number: float) -> str:
    return f"{number:g} epoch{'' if number == 1 else 's'}"
