"""The reward model of a run: trained from the SFT policy, then served to judge general prompts."""

from __future__ import annotations

import math
from typing import ClassVar

from reward_models.preferences.preference_report import judged_pair, pair_report
from reward_models.rubric import save_rubric
from rl.data.preference_pairs import (
    agreement,
    better_first,
    criterion_rows,
    criterion_truths,
    rubric_of,
    training_of,
)
from rl.data.prompt_encoder import PromptEncoder
from rl.data.run_data import RunData
from rl.engines.engines import EngineName
from rl.recipe.judging_config import RewardTrainingConfig
from rl.recipe.recipe import Recipe
from rl.run.results.stage_result import PolicyState, RewardModelResult
from rl.run.stage_directory import StageDirectory
from rl.stages.checkpoint import StageCheckpoint
from rl.stages.stage import Stage, StageContext
from rl.stages.supervised.reward_objective import (
    SCALAR_METRICS,
    RewardObjective,
    num_items_of,
    reward_objective,
)
from rl.stages.supervised.sft import epochs_words
from rl.stages.supervised.supervised_loop import step_calls, step_metrics
from verifiers.counted import counted
from verifiers.errors import HoneError


class RewardStage(Stage[RewardModelResult]):
    """The trainer's ranks learn preferences, and held-out pairs are judged as RL will judge: through vLLM, by the
    pairwise kind with both orders averaged (Seed1.5-VL, 2505.07062, section 4.2)."""

    leaves = RewardModelResult
    label = "reward model"
    needs: ClassVar[tuple[EngineName, ...]] = ("trainer",)

    def __init__(self, round_index: int = 0, *, keeps_trainer: bool = True) -> None:
        """Without ``keeps_trainer`` the trainer has ended when the reward model starts, and lends it its device."""
        super().__init__(round_index)
        self.keeps_trainer = keeps_trainer

    def work(self, recipe: Recipe) -> str:
        config = training_of(recipe)
        batch = counted(config.batch_size, "comparison")
        return f"{epochs_words(config.epochs)} of preferences, {batch} a step"

    def expected(
        self, recipe: Recipe, directory: StageDirectory, policy: PolicyState | None
    ) -> RewardModelResult:
        return RewardModelResult(model=directory.path / "model")

    def num_steps(self, recipe: Recipe, data: RunData) -> int:
        config = training_of(recipe)
        if config.kind == "rubric":
            return num_reward_steps(config, len(criterion_rows(data.preferences["train"], rubric_of(recipe))))
        pairs = better_first(data.preferences["train"], config, seed=recipe.seed)
        return num_reward_steps(config, num_items_of(config.kind, len(pairs)))

    def run(self, context: StageContext) -> RewardModelResult:
        """Train, export, serve, and judge the held-out pairs."""
        config, trainer = training_of(context.recipe), context.engines.trainer
        context.engines.invalidate()
        trainer.reset_optimizer()
        with context.watch("encode"):
            train, heldout = (
                better_first(context.data.preferences[name], config, seed=context.recipe.seed)
                for name in ("train", "heldout")
            )
            serving = context.recipe.judging.reward_model
            assert serving is not None
            objective = reward_objective(
                config.kind,
                train,
                PromptEncoder(context.engines.base.hub, serving.sampler.chat_template_kwargs),
                max_tokens=serving.sampler.max_model_len,
                rows=criterion_rows(context.data.preferences["train"], rubric_of(context.recipe))
                if config.kind == "rubric"
                else (),
            )
        checkpoint = context.checkpoint(config.checkpoint_every_steps)
        loss = self.fit(context, objective, checkpoint)
        model = context.directory.path / "model"
        with context.watch("save"):
            objective.export(trainer, context.engines.base.hub, model)
            if config.kind == "rubric":
                save_rubric(model, rubric_of(context.recipe))
        with context.watch("start"):
            if not self.keeps_trainer:
                context.engines.stop_trainer()
            context.engines.use_reward_model(model)
            scorer = context.engines.scorer
        assert scorer is not None
        with context.watch("judge"):
            truths = criterion_truths(context.data.preferences["heldout"]) if config.kind == "rubric" else []
            scores, known = (
                [asked.result() for asked in [scorer.submit(one) for one in comparisons]]
                for comparisons in (heldout, [one for one, _ in truths])
            )
        report = pair_report(map(judged_pair, scores))
        if report.accuracy is None:
            raise HoneError(
                f"the reward model judged none of {report.num_failed} held-out pairs: {scores[0].reason}"
            )
        return RewardModelResult(
            model=model,
            num_pairs=len(train),
            num_dropped_too_long=objective.num_dropped,
            final_loss=loss,
            report=report,
            criteria_right_frac=agreement(known, [met for _, met in truths]),
        )

    def fit(self, context: StageContext, objective: RewardObjective, checkpoint: StageCheckpoint) -> float:
        """The steps that are left, several a call, from the context's policy, which the trainer holds. Returns the last
        loss."""
        config, trainer = training_of(context.recipe), context.engines.trainer
        objective.begin(trainer, context.policy.hub)
        calls = step_calls(
            objective.draws(f"{context.recipe.seed} reward model"),
            num_steps=num_reward_steps(config, objective.num_items),
            batch_size=config.batch_size,
            schedule=config.schedule,
            trainer=trainer,
            checkpoint=checkpoint,
            progress=context.progress,
        )
        for call in calls:
            with context.watch("train"):
                outcomes = objective.steps(trainer, call.batches, call.rates)
            for step, rate, outcome in zip(call.steps, call.rates, outcomes, strict=True):
                of_scores = {
                    f"reward_model/{name}": outcome[name] for name in SCALAR_METRICS if name in outcome
                }
                context.log_metrics(step, step_metrics(outcome, rate) | of_scores)
            context.progress.advance(len(outcomes), loss=outcomes[-1]["loss"])
        return context.directory.metrics()[-1]["train/loss"]

    def summary(self, result: RewardModelResult) -> str:
        if result.report is None:
            return f"loss {result.final_loss:.3f}"
        right = result.criteria_right_frac
        return result.report.summary + (
            "" if right is None else f"; {right:.1%} of the criteria judged as they are"
        )


def num_reward_steps(config: RewardTrainingConfig, num_items: int) -> int:
    """Whole batches that cover the epochs."""
    return max(1, math.ceil(config.epochs * num_items / config.batch_size))
