"""Lengths against limits: a prompt and its response in the sampler, a comparison of two answers in the reward model."""

from __future__ import annotations

import json
from pathlib import Path

from rl.recipe.profile_config import ProfileConfig
from rl.recipe.recipe import Recipe
from verifiers.errors import BadInput

ROOM_KEY = "judging.reward_model.sampler.max_model_len"


def longest_prompt(recipe: Recipe) -> int:
    """Tokens a prompt may have: the recipe's own limit, and room for a response within the model's length."""
    room = recipe.sampler.max_model_len - recipe.rl.max_response_tokens
    if room < 1:
        raise BadInput(
            f"rl.max_response_tokens={recipe.rl.max_response_tokens} leaves no room for a prompt in "
            f"sampler.max_model_len={recipe.sampler.max_model_len}: raise the one or lower the other"
        )
    return min(recipe.data.max_prompt_tokens, room)


def require_positions(recipe: Recipe, hub: Path) -> None:
    """Raises: BadInput where an engine is to serve longer sequences than the model at ``hub`` has positions for."""
    config = hub / "config.json"
    if not config.is_file():
        return  # whoever loads the checkpoint says so
    settings = json.loads(config.read_text())
    positions = settings.get("text_config", settings).get("max_position_embeddings")
    lengths = {"sampler.max_model_len": recipe.sampler.max_model_len}
    judge = recipe.judging.reward_model
    if judge is not None and judge.training is not None:  # it is trained from the policy
        lengths[ROOM_KEY] = judge.sampler.max_model_len
    for key, length in lengths.items():
        if positions is not None and length > positions:
            raise BadInput(f"{key}={length} is more than the {positions} positions of the model: lower it")


def require_caption_room(recipe: Recipe, profile: ProfileConfig) -> None:
    """Raises: BadInput where the policy is to write captions that leave no token for what they describe."""
    room = recipe.sampler.max_model_len
    if "caption" in profile.shown and profile.captions is None and profile.caption_tokens >= room:
        raise BadInput(
            f"caption_tokens={profile.caption_tokens} leaves no room for a prompt in sampler.max_model_len={room}: "
            f"raise it (sampler.max_model_len={2 * profile.caption_tokens}), or lower caption_tokens "
            "(--caption-tokens, in a pipeline the stage's option)"
        )
