"""Preflight of hybrid RL: every prompt has a judge, the reward model sees past places, the critic knows something."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from reward_models.answer_comparison import AnswerComparison
from reward_models.preferences.preference_report import judged_pair, orders_disagree
from reward_models.rubric import load_rubric
from reward_models.value_head import has_value_head
from rl.algorithm.algorithm import algorithm_of
from rl.algorithm.rollouts.reward_shaping import reward_range
from rl.data.preference_pairs import training_of
from rl.data.run_data import RunData
from rl.experience.scorer import require_reward_model
from rl.preflight.check import Check, Finding, some_of
from rl.preflight.rubric import without_criteria
from rl.recipe.recipe import Recipe
from rl.run.results.manifest import results_of
from rl.run.results.stage_result import CriticResult, RewardModelResult
from rl.run.run_directory import RunDirectory
from sampler.prompt import Prompt
from verifiers.answer import FinalAnswer
from verifiers.counted import counted
from verifiers.registry import load_verifier
from verifiers.service.worker import case_key

if TYPE_CHECKING:
    from rl.engines.engines import Engines

POSITION_BIAS = "reward model's position bias"
PAIRS = 64  # comparisons for the position bias


def check_judges(recipe: Recipe, data: RunData) -> Iterator[Check]:
    """Checks that need no engine, of at least one prompt."""
    yield Check("every prompt has a judge", partial(_every_prompt_has_a_judge, recipe, data))
    yield Check("rewards are in [0, 1]", partial(_reward_scale, recipe, data))
    yield Check("verifiers end within their time", partial(_verifiers_end, recipe, data))


def check_trained(recipe: Recipe, run: RunDirectory) -> Iterator[Check]:
    """What a run under way has trained so far: its reward model's bias and what its critic explains."""
    results = results_of(run.path)
    for result in results:
        if isinstance(result, RewardModelResult) and result.report is not None:
            where = counted(result.report.num_pairs, "held-out pair")
            yield Check(
                POSITION_BIAS, partial(_limited_bias, recipe, result.report.position_bias_frac, where)
            )
    if algorithm_of(recipe.rl).needs_critic:
        explained = [result.explained_variance for result in results if isinstance(result, CriticResult)]
        yield Check("critic after value pre-training", partial(_explained, recipe, explained))


def position_bias(recipe: Recipe, engines: Engines, prompts: Sequence[Prompt]) -> Finding:
    """References of general prompts against those of others, in both orders: the winner must not go by the place."""
    general = [one for one in prompts if one.verifier is None and one.reference][: PAIRS + 1]
    comparisons = [
        AnswerComparison(
            f"bias-{index}", one, FinalAnswer(one.reference_text), FinalAnswer(other.reference_text)
        )
        for index, (one, other) in enumerate(pairwise(general))
    ]
    scores = engines.judge.compare(comparisons)
    failed = [score.reason for score in scores if not score.judged]
    if failed and len(failed) == len(scores):
        return Finding("failed", f"none of {counted(len(scores), 'comparison')} could be scored: {failed[0]}")
    pairs = [judged_pair(score) for score in scores]
    known = [pair for pair in pairs if pair is not None]
    if not known:
        return Finding("ok", "no two answers to compare, or no two orders")
    one_at_a_time = all(pair.one_at_a_time for pair in known)
    disagreeing = None if one_at_a_time else sum(map(orders_disagree, known)) / len(known)
    return _limited_bias(recipe, disagreeing, f"{counted(len(known), 'pair')} of references")


def reward_model_is_there(path: Path, by_rubric: bool) -> Finding:
    """Which kind it is. Raises: BadInput saying what is there instead."""
    require_reward_model(path, "judging.reward_model.path")
    kind = "scalar" if has_value_head(path) else "pairwise"
    if by_rubric and kind == "scalar":
        return Finding(
            "failed", f"{path} is scalar and answers no criterion: leave out judging.reward_model.rubric"
        )
    return Finding("ok", f"{'by rubric' if by_rubric or load_rubric(path) else kind}: {path}")


def same_source(recipe: Recipe) -> Finding:
    """A builder inherited through ``base:`` goes on making one side where the other is in files of one's own."""
    prompts, preferences = recipe.data, training_of(recipe).data
    if (prompts.train_prompts is None) == (preferences.train is None):
        return Finding(
            "ok", "both made by builders" if preferences.train is None else "both in files of one's own"
        )
    if preferences.train is None:
        summary = f"prompts come from files, preferences from {preferences.builder}"
        key = "judging.reward_model.training.data"
    else:
        summary, key = f"prompts come from {prompts.builder}, preferences from files", "data.train_prompts"
    return Finding("warning", f"the reward model learns from other data: {summary}; set {key}")


def _every_prompt_has_a_judge(recipe: Recipe, data: RunData) -> Finding:
    prompts = [*data.train, *data.heldout]
    general = [prompt for prompt in prompts if prompt.verifier is None]
    if general and recipe.judging.reward_model is None:
        return _unjudged(
            recipe,
            data,
            general,
            f"{counted(len(general), 'prompt')} without a verifier, and judging.reward_model is not set: "
            "give judging.reward_model.path=CHECKPOINT, or .training with data, or .endpoint;",
        )
    asked = recipe.judging.reward_model.rubric if recipe.judging.reward_model is not None else None
    if asked is not None and (unjudged := without_criteria(asked.rubric, general)):
        why = unjudged[0][1]
        return _unjudged(
            recipe,
            data,
            [prompt for prompt, _ in unjudged],
            f"{counted(len(unjudged), 'general prompt')} that the rubric cannot judge, the first because {why};",
        )
    bare = [prompt for prompt in general if not prompt.reference and asked is None]
    if bare:
        return _unjudged(
            recipe, data, bare, f"{counted(len(bare), 'general prompt')} without a reference to compare with:"
        )
    return Finding(
        "ok", f"{len(prompts) - len(general):,} by a verifier, {len(general):,} by the reward model"
    )


def _unjudged(recipe: Recipe, data: RunData, prompts: Sequence[Prompt], summary: str) -> Finding:
    """A failure, but for a recipe with teachers that teach alone, whose program may have no other stage of RL."""
    distillation = recipe.distillation
    if distillation.teachers and not distillation.reward_coef:
        return Finding("warning", f"only distillation can learn from {summary} {_places(data, prompts)}")
    return Finding("failed", f"{summary} {_places(data, prompts)}")


def _places(data: RunData, prompts: Sequence[Prompt]) -> str:
    return some_of([data.location_of(prompt.prompt_id) for prompt in prompts])


def _reward_scale(recipe: Recipe, data: RunData) -> Finding:
    """Scores are in [0, 1]; weights and penalties can move what is learnt from out of it."""
    kinds = {(prompt.kind, prompt.verifier) for prompt in [*data.train, *data.heldout]}
    ranges = {
        verifier or kind: reward_range(recipe.rl, kind=kind, verifier=verifier) for kind, verifier in kinds
    }
    low, high = min(low for low, _ in ranges.values()), max(high for _, high in ranges.values())
    outside = sorted(name for name, (low, high) in ranges.items() if low < 0 or high > 1)
    if outside:
        return Finding(
            "warning",
            f"weights and penalties make them {low:g} to {high:g} ({', '.join(outside)}): one critic learns all of "
            "them, so keep them alike",
        )
    return Finding("ok", f"{low:g} to {high:g}")


def _verifiers_end(recipe: Recipe, data: RunData) -> Finding:
    """A verifier that ends what hangs must do so before its process is killed, which would leave no score."""
    limit_s, longest_s, prompts = recipe.judging.timeout_s, 0.0, []
    seconds: dict[str, float] = {}
    for prompt in [*data.train, *data.heldout]:
        if prompt.verifier is None:
            continue
        key = case_key(prompt.verifier, prompt.verifier_options)
        if key not in seconds:
            seconds[key] = load_verifier(prompt.verifier, prompt.verifier_options).max_seconds
        longest_s = max(longest_s, seconds[key])
        if seconds[key] >= limit_s:
            prompts.append(prompt)
    if prompts:
        return Finding(
            "failed",
            f"{counted(len(prompts), 'prompt')} whose verifier may take {longest_s:g} s by its own timeout_s, and "
            f"judging.timeout_s ends it at {limit_s:g} s: a response that hangs would have no score instead of 0; make "
            f"judging.timeout_s a second longer; {_places(data, prompts)}",
        )
    return Finding("ok", f"the longest takes {longest_s:g} of {limit_s:g} s" if longest_s else "none waits")


def _limited_bias(recipe: Recipe, disagreeing: float | None, where: str) -> Finding:
    assert recipe.judging.reward_model is not None
    if disagreeing is None:
        return Finding("ok", "none: it is scalar and reads one answer at a time")
    limit = recipe.judging.reward_model.max_position_bias_frac
    summary = f"the two orders name different winners in {disagreeing:.1%} of {where}"
    if disagreeing > limit:
        return Finding(
            "failed",
            f"{summary}, more than judging.reward_model.max_position_bias_frac={limit:g}: train it longer",
        )
    return Finding("ok", summary)


def _explained(recipe: Recipe, explained: Sequence[float]) -> Finding:
    if not explained:
        if not recipe.critic.pretrain_steps:
            start = recipe.critic.init_from
            blind = "a blind critic" if start is None else f"the critic of {start} as it is"
            return Finding("warning", f"critic.pretrain_steps=0: the actor starts with {blind}")
        return Finding("ok", "not checked, since nothing is trained yet: ask again after that stage")
    summary = f"it explains {explained[-1]:.0%} of the variance of returns"
    if explained[-1] < recipe.critic.min_explained_variance:
        return Finding(
            "failed",
            f"{summary}, under critic.min_explained_variance={recipe.critic.min_explained_variance:g}: raise "
            "critic.pretrain_steps or critic.schedule.lr",
        )
    return Finding("ok", summary)
