"""Preflight of what a recipe asks of its surroundings: packages that are not Hone's, keys in the environment."""

from __future__ import annotations

from collections.abc import Iterator

from rl.preflight.check import Check, Finding
from rl.recipe.recipe import Recipe
from rl.run.metrics_log import require_wandb


def check_environment(recipe: Recipe) -> Iterator[Check]:
    """Nothing for a recipe that asks for nothing."""
    if recipe.metrics.wandb_project is not None:
        yield Check("wandb", _wandb)


def _wandb() -> Finding:
    require_wandb()
    return Finding("ok", "installed")
