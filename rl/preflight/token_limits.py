"""Lengths against limits: a prompt and its response in the sampler, a comparison of two answers in the reward model."""

from __future__ import annotations

from pathlib import Path

from reward_models.value_head import has_value_head
from rl.data.token_limits import ROOM_KEY, longest_prompt
from rl.preflight.check import Finding
from rl.recipe.recipe import Recipe


def response_room(recipe: Recipe) -> Finding:
    """By arithmetic alone. Raises: BadInput where no prompt fits."""
    return Finding(
        "ok",
        f"prompts up to {longest_prompt(recipe):,} tokens, pictures included, and responses up to "
        f"{recipe.rl.max_response_tokens:,} in sampler.max_model_len={recipe.sampler.max_model_len}; longer ones "
        "are left out (hone doctor counts them)",
    )


def comparison_room(recipe: Recipe) -> Finding:
    """By arithmetic alone, of the longest that the recipe allows: a prompt and two answers, of the scalar kind one."""
    num_answers = 1 if reads_one_answer(recipe) else 2
    longest, answer = longest_prompt(recipe), recipe.rl.max_response_tokens
    summary = f"a prompt of {longest:,} tokens and {num_answers} x {answer:,} of an answer"
    return _fitting(recipe, summary, longest + num_answers * answer)


def measured_comparison_room(recipe: Recipe, longest: int) -> Finding:
    """``longest`` counts the tokens of a general prompt with its reference, as the reward model is asked, without the
    answer that is judged."""
    answer = recipe.rl.max_response_tokens
    summary = f"the longest prompt with its reference, {longest:,} tokens, and {answer:,} of an answer"
    if longest >= _room(recipe):
        return Finding(
            "failed",
            f"{summary}: no answer fits in {ROOM_KEY}={_room(recipe)}; raise it to {longest + answer + 1}",
        )
    return _fitting(recipe, summary, longest + answer)


def reads_one_answer(recipe: Recipe) -> bool:
    """Whether it is scalar, or its rubric shows no reference, as far as the recipe and its checkpoint tell."""
    config = recipe.judging.reward_model
    assert config is not None
    if config.rubric is not None:
        return not any("reference" in one.sees for of in config.rubric.rubric.by_type.values() for one in of)
    if config.training is not None:
        return config.training.kind == "scalar"
    return config.path is not None and has_value_head(Path(config.path))


def _fitting(recipe: Recipe, summary: str, num_tokens: int) -> Finding:
    needed = num_tokens + 1  # the token that the reward model says
    if needed > _room(recipe):
        return Finding(
            "warning",
            f"{summary}: up to {needed:,} tokens, more than {ROOM_KEY}={_room(recipe)}; what is longer has no reward, "
            f"so raise it to {needed}",
        )
    return Finding("ok", f"{summary}, in {ROOM_KEY}={_room(recipe)}")


def _room(recipe: Recipe) -> int:
    assert recipe.judging.reward_model is not None
    return recipe.judging.reward_model.sampler.max_model_len
