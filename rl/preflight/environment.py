"""Preflight of what a recipe asks of its surroundings: packages that are not Hone's, keys in the environment."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from rl.experience.judge import endpoint_judge
from rl.preflight.check import Check, Finding
from rl.recipe.judging_config import EndpointConfig
from rl.recipe.recipe import Recipe
from rl.run.metrics_log import require_wandb


def check_environment(recipe: Recipe) -> Iterator[Check]:
    """Nothing for a recipe that asks for nothing."""
    if recipe.metrics.wandb_project is not None:
        yield Check("wandb", _wandb)
    model = recipe.judging.reward_model
    if model is not None and model.endpoint is not None:
        yield Check("judge's endpoint", partial(_endpoint, model.endpoint))


def _endpoint(endpoint: EndpointConfig) -> Finding:
    """URL and key are such as could be used; whether it answers is seen where it is asked."""
    endpoint_judge(endpoint).close()
    key = f", key from {endpoint.api_key_env}" if endpoint.api_key_env else ""
    return Finding("ok", f"{endpoint.model} at {endpoint.url}{key}")


def _wandb() -> Finding:
    require_wandb()
    return Finding("ok", "installed")
