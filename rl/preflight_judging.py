"""Preflight of hybrid RL: every prompt has a judge, the reward model sees past places, the critic knows something."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from reward_models.comparison import Comparison
from reward_models.pair_report import judged_pair, orders_disagree
from rl.algorithm_names import NEEDS_CRITIC
from rl.engines import Engines
from rl.finding import Finding
from rl.recipe import Recipe
from rl.reward_shaping import reward_range
from rl.run_directory import RunDirectory
from sampler.prompt import Prompt
from verifiers.answer import FinalAnswer

PAIRS = 64  # comparisons for the position bias


def check_judges(recipe: Recipe, prompts: Sequence[Prompt]) -> Iterator[Finding]:
    """Checks that need no engine."""
    yield _every_prompt_has_a_judge(recipe, prompts)
    yield _reward_scale(recipe, prompts)


def check_trained(recipe: Recipe, run: RunDirectory) -> Iterator[Finding]:
    """What a run under way has trained so far: its reward model's bias and what its critic explains."""
    results = [(manifest["kind"], manifest["result"]) for manifest in run.manifests()]
    for report in [result["report"] for kind, result in results if kind == "reward-model"]:
        yield _position_bias(recipe, report["position_bias_frac"], f"{report['num_pairs']} held-out pairs")
    if recipe.rl.advantage in NEEDS_CRITIC:
        yield _explained(
            recipe, [result["explained_variance"] for kind, result in results if kind == "critic"]
        )


def position_bias(recipe: Recipe, engines: Engines, prompts: Sequence[Prompt]) -> Finding:
    """References of general prompts against those of others, in both orders: the winner must not hang on the place."""
    general = [one for one in prompts if one.verifier is None and one.reference][: PAIRS + 1]
    comparisons = [
        Comparison(f"bias-{place}", one, FinalAnswer(one.reference), FinalAnswer(other.reference))
        for place, (one, other) in enumerate(pairwise(general))
    ]
    pairs = [judged_pair(score) for score in engines.judge.compare(comparisons)]
    known = [pair for pair in pairs if pair is not None]
    if not known:
        return Finding("reward model's position bias", "ok", "no two answers to compare, or no two orders")
    one_at_a_time = all(pair.one_at_a_time for pair in known)
    disagreeing = None if one_at_a_time else sum(map(orders_disagree, known)) / len(known)
    return _position_bias(recipe, disagreeing, f"{len(known)} pairs of references")


def _every_prompt_has_a_judge(recipe: Recipe, prompts: Sequence[Prompt]) -> Finding:
    check = "every prompt has a judge"
    general = [prompt for prompt in prompts if prompt.verifier is None]
    if general and recipe.judging.reward_model is None:
        return Finding(
            check,
            "failed",
            f"{len(general)} prompts have no verifier, {general[0].prompt_id} first, and "
            "judging.reward_model is not set",
        )
    bare = [prompt for prompt in general if not prompt.reference]
    if bare:
        return Finding(
            check,
            "failed",
            f"{len(bare)} general prompts have no reference to compare with, {bare[0].prompt_id} first",
        )
    return Finding(
        check, "ok", f"{len(prompts) - len(general)} by a verifier, {len(general)} by the reward model"
    )


def _reward_scale(recipe: Recipe, prompts: Sequence[Prompt]) -> Finding:
    """Scores are in [0, 1]; weights and penalties can move what is learnt from out of it."""
    kinds = {(prompt.kind, prompt.verifier) for prompt in prompts}
    ranges = {
        verifier or kind: reward_range(recipe.rl, kind=kind, verifier=verifier) for kind, verifier in kinds
    }
    low, high = min(low for low, _ in ranges.values()), max(high for _, high in ranges.values())
    outside = sorted(name for name, (low, high) in ranges.items() if low < 0 or high > 1)
    if outside:
        return Finding(
            "rewards are in [0, 1]",
            "warning",
            f"weights and penalties make them {low:g} to {high:g} ({', '.join(outside)}): one critic learns all of "
            "them, so keep them alike",
        )
    return Finding("rewards are in [0, 1]", "ok", f"{low:g} to {high:g}")


def _position_bias(recipe: Recipe, disagreeing: float | None, where: str) -> Finding:
    assert recipe.judging.reward_model is not None
    if disagreeing is None:
        return Finding(
            "reward model's position bias", "ok", "none: it is scalar and reads one answer at a time"
        )
    limit = recipe.judging.reward_model.max_position_bias_frac
    words = f"the two orders name different winners in {disagreeing:.1%} of {where}"
    if disagreeing > limit:
        return Finding(
            "reward model's position bias",
            "failed",
            f"{words}, more than judging.reward_model.max_position_bias_frac={limit:g}: train it longer",
        )
    return Finding("reward model's position bias", "ok", words)


def _explained(recipe: Recipe, explained: Sequence[float]) -> Finding:
    check = "critic after value pre-training"
    if not explained:
        if not recipe.critic.pretrain_steps:
            return Finding(check, "warning", "critic.pretrain_steps=0: the actor starts with a blind critic")
        return Finding(check, "ok", "not checked, since nothing is trained yet: ask again after that stage")
    words = f"it explains {explained[-1]:.0%} of the variance of returns"
    if explained[-1] < recipe.critic.min_explained_variance:
        return Finding(
            check,
            "failed",
            f"{words}, under critic.min_explained_variance={recipe.critic.min_explained_variance:g}: raise "
            "critic.pretrain_steps or critic.schedule.lr",
        )
    return Finding(check, "ok", words)
