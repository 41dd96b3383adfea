"""The reward model of a run: trained from the SFT policy, then served to judge general prompts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from reward_models.preference_report import PairReport, judged_pair, pair_report
from rl.data.preference_pairs import better_first, training_of
from rl.data.run_data import RunData
from rl.data.sft_rows import PromptEncoder
from rl.recipe.recipe import Recipe
from rl.run.policy_state import PolicyState
from rl.stages.reward_objective import num_items_of, reward_objective
from rl.stages.reward_training import RewardTraining, num_reward_steps
from rl.stages.stage import Stage, StageContext
from verifiers.errors import HoneError


class RewardStage(Stage):
    """The trainer's ranks learn preferences, and held-out pairs are judged as RL will judge: through vLLM, by the
    pairwise kind with both orders averaged (Seed1.5-VL, 2505.07062, section 4.2)."""

    kind = "reward-model"
    label = "reward model"

    def __init__(self, round_index: int, base: PolicyState) -> None:
        super().__init__(round_index)
        self.base = base

    def num_steps(self, recipe: Recipe, data: RunData) -> int:
        config = training_of(recipe)
        pairs = better_first(data.preferences["train"], config, seed=recipe.seed)
        return num_reward_steps(config, num_items_of(config.kind, len(pairs)))

    def run(self, context: StageContext) -> dict[str, Any]:
        """Train, export, serve, and judge the held-out pairs."""
        config, trainer = training_of(context.recipe), context.engines.trainer
        context.engines.release()
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
                PromptEncoder(self.base.hub, serving.sampler.chat_template_kwargs),
                max_tokens=serving.sampler.max_model_len,
            )
        training = RewardTraining(
            config,
            context.recipe.seed,
            context.run,
            context.directory,
            trainer,
            context.progress,
            context.watch,
            self.round_index,
        )
        loss = training.fit(objective, context.policy.hub)
        model = context.directory.path / "model"
        with context.watch("save"):
            objective.export(trainer, self.base.hub, model)
            training.checkpoint.finish()
        with context.watch("start"):
            context.engines.use_reward_model(model)
        with context.watch("judge"):
            scores = context.engines.judge.compare(heldout)
        report = pair_report(map(judged_pair, scores))
        if report.accuracy is None:
            raise HoneError(
                f"the reward model judged none of {report.num_failed} held-out pairs: {scores[0].reason}"
            )
        return {
            "model": str(model.relative_to(context.run.path)),
            "num_pairs": len(train),
            "num_dropped_too_long": objective.num_dropped,
            "final_loss": loss,
            "report": dataclasses.asdict(report),
        }

    def words(self, result: Mapping[str, Any]) -> str:
        return PairReport.from_json(result["report"]).words
