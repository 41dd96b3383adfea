"""Early stop of a later SFT: a slice of the training prompts is sampled and judged between its steps."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rl.experience.exams.evaluation import evaluate
from rl.recipe.recipe import Recipe
from rl.run.results.stage_result import SftResult, ValidationResult
from rl.stages.stage import StageContext
from rl.trainer.export import export_policy
from sampler.prompt import Prompt
from verifiers.counted import counted
from verifiers.errors import BadInput

VALIDATION_METRIC = "validation/pass_at_1"


class Validation:
    """pass@1 on the slice after so many steps, and the weights that were best at it.

    A policy that is validated is published to the rollout workers under a version of its own. The best one's weights
    lie in the stage's directory. One that a checkpoint names stays there until a later checkpoint names another, so
    that a stage that was killed goes on with the same. A `Resumable`. Without prompts nothing is validated.
    """

    def __init__(self, context: StageContext, prompts: Sequence[Prompt]) -> None:
        self.context = context
        self.config = context.recipe.sft
        self.prompts = prompts
        self.seen: list[ValidationResult] = []
        self.num_too_long = 0
        self._saved: ValidationResult | None = None

    @property
    def best(self) -> ValidationResult | None:
        """The first of those with the highest pass@1."""
        return SftResult.best_of(self.seen)

    @property
    def is_over(self) -> bool:
        """So many validations in a row brought no new best."""
        return (
            self.best is not None
            and len(self.seen) - 1 - self.seen.index(self.best) >= self.config.later_patience
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """Where only a part of the slice was asked."""
        if not self.num_too_long:
            return ()
        limit = self.context.recipe.sampler.max_model_len
        part = f"{self.num_too_long:,} of sft.later_validation_prompts={len(self.prompts)}"
        return (f"{part} left out, too long for sampler.max_model_len={limit}: raise it to validate on all",)

    @property
    def every_steps(self) -> int | None:
        """Steps between two, beside the one at the end; None where nothing is validated."""
        return self.config.later_validate_every_steps if self.prompts else None

    def is_due(self, steps_taken: int) -> bool:
        """At every so many steps; the end is another reason."""
        return self.every_steps is not None and not steps_taken % self.every_steps

    def run(self, steps_taken: int) -> dict[str, float]:
        """Publish, sample, judge; keep the weights if they are the best so far. Returns the last step's further
        figures, if there are any. Raises: BadInput where every prompt is too long, HoneError where too many rollouts
        have no decision."""
        if not self.prompts:
            return {}
        context, engines, recipe = self.context, self.context.engines, self.context.recipe
        with context.watch("sync"):
            engines.weight_sync.sync(context.policy.version + len(self.seen) + 1)
        experience = context.sample(
            self.prompts,
            step=steps_taken - 1,
            num_samples=recipe.evaluation.samples_per_prompt,
            temperature=recipe.evaluation.temperature,
            top_p=recipe.evaluation.top_p,
        )
        if not experience.rollouts:
            raise BadInput(
                f"all of sft.later_validation_prompts={len(self.prompts)} are longer than sampler.max_model_len="
                f"{recipe.sampler.max_model_len}: raise it"
            )
        self.num_too_long = len(experience.stats.dropped)
        for warning in self.warnings:
            context.progress.warn(warning)
        context.log_rollouts(steps_taken - 1, experience.rollouts)
        figures = evaluate(experience.rollouts, pass_at=(), pass_score=recipe.evaluation.pass_score)
        result = ValidationResult(steps_taken, figures["pass_at_1"])
        self.seen.append(result)
        if self.best == result:
            with context.watch("save"):
                export_policy(engines.trainer, engines.base.hub, self._weights(result))
        self._drop(keep=(self.best, self._saved))
        return {VALIDATION_METRIC: result.pass_at_1}

    def load_best(self) -> None:
        """The trainer, which holds the weights that were validated last, holds the best ones."""
        if self.best is not None and self.best != self.seen[-1]:
            self.context.engines.trainer.load_weights(self._weights(self.best))

    def finish(self) -> None:
        """The stage's policy is exported: no other weights are needed but those that a checkpoint names."""
        self._drop(keep=(self._saved,))

    def state(self) -> dict[str, Any]:
        """Plain JSON, for the checkpoint that is being saved."""
        self._saved = self.best
        seen = [[one.step, one.pass_at_1] for one in self.seen]
        return {"validations": seen, "num_too_long": self.num_too_long}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where ``state`` was taken."""
        self.seen = [ValidationResult(*one) for one in state["validations"]]
        self.num_too_long = state.get("num_too_long", 0)  # not counted before 2026-11-30
        self._saved = self.best

    def _weights(self, of: ValidationResult) -> Path:
        return self.context.directory.path / f"best-{of.step}"

    def _drop(self, keep: Sequence[ValidationResult | None]) -> None:
        kept = {self._weights(one) for one in keep if one is not None}
        for path in self.context.directory.path.glob("best-*"):
            if path not in kept:
                shutil.rmtree(path, ignore_errors=True)


def validation_words(recipe: Recipe) -> str:
    """What a dry run says of it; empty where nothing is validated."""
    config = recipe.sft
    if config.later_validation_prompts is None:
        return ""
    prompts = counted(config.later_validation_prompts, "training prompt")
    samples = counted(recipe.evaluation.samples_per_prompt, "sample")
    every = counted(config.later_validate_every_steps, "step")
    patience = counted(config.later_patience, "validation")
    return (
        f"; validated on {prompts} x {samples} every {every}, until {patience} in a row brought no new best"
    )
