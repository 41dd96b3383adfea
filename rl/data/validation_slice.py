"""Training prompts that the later SFT is validated on, and learns nothing of."""

from __future__ import annotations

import random
from collections.abc import Sequence

from rl.recipe.recipe import Recipe
from sampler.prompt import Prompt
from verifiers.errors import BadInput


def validation_prompts(prompts: Sequence[Prompt], recipe: Recipe) -> list[Prompt]:
    """The slice, the same in every round: ``sft.later_validation_prompts`` of the training prompts that a verifier
    judges, drawn by the recipe's seed; none where it is not asked for. Raises: BadInput where there are fewer."""
    num = recipe.sft.later_validation_prompts
    if num is None:
        return []
    verified = [prompt for prompt in prompts if prompt.verifier is not None]
    if num > len(verified):
        raise BadInput(
            f"sft.later_validation_prompts={num}: of the training prompts a verifier judges {len(verified)}; lower it"
        )
    return random.Random(f"{recipe.seed} validation").sample(verified, num)


def not_validated_on(prompts: Sequence[Prompt], recipe: Recipe) -> list[Prompt]:
    """Those that ask no question of the slice. Raises: BadInput as above."""
    kept_apart = {prompt.question_id for prompt in validation_prompts(prompts, recipe)}
    return [prompt for prompt in prompts if not kept_apart or prompt.question_id not in kept_apart]
