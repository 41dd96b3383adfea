"""Supervised fine-tuning at the start of a round: cold-start rows, and the harvests of the rounds before."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from rl.algorithm.losses import SFT_LOSS, LossSpec
from rl.data.batch import Batch
from rl.data.prompt_encoder import PromptEncoder
from rl.data.run_data import RunData, image_limits
from rl.data.sft_batches import num_packs, sft_packs, sft_sequences
from rl.data.token_sequence import TokenSequence
from rl.engines.engines import EngineName
from rl.recipe.recipe import Recipe
from rl.recipe.sft_config import SftConfig
from rl.run.stage_directory import StageDirectory
from rl.run.stage_result import HarvestResult, PolicyState, SftResult
from rl.stages.checkpoint import StageCheckpoint
from rl.stages.stage import Stage, StageContext
from rl.stages.supervised.cold_start import cold_start_rows, rows_left_by_rl
from rl.stages.supervised.supervised_loop import step_calls, step_metrics
from rl.trainer.export import export_policy
from sampler.data.sft_row import SftRow, load_sft_rows
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
        sft, later = recipe.sft, self.round_index > 0
        epochs = sft.later_epochs if later and sft.later_epochs else sft.epochs
        unit = "sequence" if sft.pack_tokens is None else f"{sft.pack_tokens:,}-token pack"
        kept = f"{sft.later_cold_start_frac:.0%} of " if later else ""
        kept = f"what RL left of {kept}" if later and sft.later_cold_start_min_ratio else kept
        cold_start = f"{kept}the cold-start rows" if recipe.data.has_cold_start else ""
        rows = " and ".join(filter(None, (cold_start, "all harvests" if self.harvests else "")))
        kl = f", {sft.later_kl_coef:g} KL to the policy before" if later and sft.later_kl_coef else ""
        return f"{epochs_words(epochs)} of {rows}, {counted(sft.batch_size, unit)} a step{kl}"

    def expected(self, recipe: Recipe, directory: StageDirectory, policy: PolicyState | None) -> SftResult:
        version = policy.version + 1 if policy is not None else 0
        return SftResult(policy=PolicyState(version, directory.path / "policy", directory.name))

    def num_steps(self, recipe: Recipe, data: RunData) -> int | None:
        selects = self.round_index and recipe.sft.later_cold_start_min_ratio is not None
        if recipe.sft.pack_tokens is not None or selects:
            return None  # known when the rows are tokenised, and when they are chosen
        kept = cold_start_rows(data.cold_start, recipe, self.round_index)
        num_harvested = sum(harvest.num_kept for harvest in self.harvests)
        return num_sft_steps(recipe.sft, rows_seen(recipe.sft, self.round_index, len(kept) + num_harvested))

    def inputs(self) -> Mapping[str, Any]:
        return {"harvests": [harvest.stage for harvest in self.harvests]}

    def run(self, context: StageContext) -> SftResult:
        """Encode the rows, train on them, sync and prove, export."""
        config, trainer = context.recipe.sft, context.engines.trainer
        context.engines.invalidate()
        with context.watch("encode"):
            encoder = PromptEncoder(context.engines.base.hub, context.recipe.sampler.chat_template_kwargs)
            rows = cold_start_rows(context.data.cold_start, context.recipe, self.round_index)
        if self.round_index and config.later_cold_start_min_ratio is not None:
            with context.watch("select"):
                rows = self._left_by_rl(context, rows, encoder)
        limits = image_limits(context.recipe)
        with context.watch("encode"):
            rows += [
                row for harvest in self.harvests for row in load_sft_rows(str(harvest.rows), limits=limits)
            ]
            sequences, num_dropped = sft_sequences(
                rows, encoder, max_tokens=context.recipe.sampler.max_model_len
            )
        if not sequences:
            raise BadInput(
                f"all {counted(num_dropped, 'supervised row')} longer than "
                f"sampler.max_model_len={context.recipe.sampler.max_model_len}: raise it"
            )
        if self.round_index:
            trainer.load_frozen([str(context.policy.hub)] if config.later_kl_coef else [])
        if self.round_index and config.start_from == "base":
            trainer.load_weights(context.engines.base.hub)
        trainer.reset_optimizer()
        checkpoint = StageCheckpoint(context.directory, every_steps=config.checkpoint_every_steps)
        loss = self._train(context, sequences, checkpoint)
        policy = PolicyState(
            context.policy.version + 1, context.directory.path / "policy", context.directory.name
        )
        with context.watch("sync"):
            proof = context.engines.publish(policy)
        with context.watch("save"):
            export_policy(trainer, context.engines.base.hub, policy.hub)
            checkpoint.finish()
        return SftResult(
            policy=policy,
            num_rows=dict(Counter(row.source for row in rows)),
            num_dropped_too_long=num_dropped,
            final_loss=loss,
            proof=proof,
        )

    def _left_by_rl(self, context: StageContext, rows: list[SftRow], encoder: PromptEncoder) -> list[SftRow]:
        """Raises: BadInput where the program did not say which policy the cold start had left."""
        if self.cold_started is None:
            raise BadInput("sft.later_cold_start_min_ratio needs SftStage(..., cold_started=policy)")
        trainer, recipe = context.engines.trainer, context.recipe
        before = self.cold_started.hub
        trainer.load_frozen([str(before)])
        min_ratio = recipe.sft.later_cold_start_min_ratio
        assert min_ratio is not None
        return rows_left_by_rl(trainer, before, rows, encoder, recipe.sampler.max_model_len, min_ratio)

    def _train(
        self, context: StageContext, sequences: Sequence[TokenSequence], checkpoint: StageCheckpoint
    ) -> float:
        config, trainer = context.recipe.sft, context.engines.trainer
        loss = LossSpec(SFT_LOSS, teacher_coef=config.later_kl_coef if self.round_index else 0.0)
        lengths = [len(sequence.token_ids) for sequence in sequences]
        seed = f"{context.recipe.seed} {context.directory.name}"
        num_rows = rows_seen(config, self.round_index, len(sequences))
        num_steps = num_sft_steps(
            config, num_packs(lengths, config.pack_tokens, seed=seed, num_rows=num_rows)
        )
        calls = step_calls(
            sft_packs(lengths, config.pack_tokens, seed=seed),
            num_steps=num_steps,
            batch_size=config.batch_size,
            schedule=config.schedule.peaking_at(config.later_lr if self.round_index else None),
            trainer=trainer,
            checkpoint=checkpoint,
            progress=context.progress,
        )
        for call in calls:
            with context.watch("train"):
                batches = [
                    Batch.of([sequences[index] for pack in packs for index in pack]) for packs in call.batches
                ]
                held_to = [str(context.policy.hub)] * sum(map(len, batches)) if loss.teacher_coef else None
                outcomes = trainer.update(batches, call.rates, loss, held_to)
            for step, batch, rate, outcome in zip(call.steps, batches, call.rates, outcomes, strict=True):
                context.log_metrics(step, step_metrics(outcome, rate) | sft_metrics(outcome, batch))
            context.progress.advance(
                len(batches),
                loss=outcomes[-1]["loss"],
                tokens_per_s=sum(batch.num_tokens for batch in batches)
                / sum(outcome["seconds"] for outcome in outcomes),
            )
        return context.directory.metrics()[-1]["train/loss"]

    def summary(self, result: SftResult) -> str:
        return f"loss {result.final_loss:.3f} on {counted(sum(result.num_rows.values()), 'row')}"


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


def epochs_words(number: float) -> str:
    return f"{number:g} epoch{'' if number == 1 else 's'}"
