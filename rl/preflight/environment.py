"""Preflight of what a recipe asks of its surroundings: packages that are not Hone's, keys in the environment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial

from rl.experience.judge import asked_model
from rl.preflight.check import Check, Finding
from rl.recipe.judging_config import RewardModelConfig
from rl.recipe.recipe import Recipe
from rl.run.metrics_log import require_wandb


def check_environment(recipe: Recipe) -> Iterator[Check]:
    """Nothing for a recipe that asks for nothing."""
    if recipe.metrics.wandb_project is not None:
        yield Check("wandb", _wandb)
    model = recipe.judging.reward_model
    if model is not None and not model.has_checkpoint:
        yield Check("judge's endpoint" if model.endpoint else "reward model", partial(_asked, model))


def _asked(config: RewardModelConfig) -> Finding:
    """URL, key and options are such as could be used; whether it answers is seen where it is asked."""
    model, endpoint = asked_model(config), config.endpoint
    if isinstance(model, AbstractContextManager):
        with model:
            pass
    if endpoint is None:
        return Finding("ok", str(config.name))
    key = f", key from {endpoint.api_key_env}" if endpoint.api_key_env else ""
    return Finding("ok", f"{endpoint.model} at {endpoint.url}{key}")


def _wandb() -> Finding:
    require_wandb()
    return Finding("ok", "installed")
