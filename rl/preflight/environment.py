"""Preflight of a run's surroundings: packages that are not Hone's, keys in the environment, free disk."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from rl.experience.scorer import asked_model
from rl.preflight.check import Check, Finding
from rl.recipe.judging_config import RewardModelConfig
from rl.recipe.recipe import Recipe
from rl.run.metrics_log import require_wandb


def check_environment(recipe: Recipe) -> Iterator[Check]:
    """Nothing for a recipe that asks for nothing."""
    if recipe.metrics.wandb_project is not None:
        yield Check("wandb", _wandb)
    if recipe.model.attention != "sdpa":
        yield Check("attention", partial(_attention, recipe))
    model = recipe.judging.reward_model
    if model is not None and not model.has_checkpoint:
        yield Check("judge's endpoint" if model.endpoint else "reward model", partial(_asked, model))


def disk_space(recipe: Recipe) -> Finding:
    """Free space where the run would be written; a warning where hardly any is left."""
    path = Path(recipe.run_dir).absolute()
    while not path.exists():
        path = path.parent
    if not os.access(path, os.W_OK | os.X_OK):
        return Finding("failed", f"{path} may not be written to: give another run_dir=")
    free_gib = shutil.disk_usage(path).free / 2**30
    return Finding("ok" if free_gib > 5 else "warning", f"{free_gib:.0f} GiB free for {recipe.run_dir}")


def _asked(config: RewardModelConfig) -> Finding:
    """URL, key and options are such as could be used. That nobody listens there yet is a warning: a dry run may come
    before the server; the doctor asks it."""
    model, endpoint = asked_model(config), config.endpoint
    if isinstance(model, AbstractContextManager):
        with model:
            pass
    if endpoint is None:
        return Finding("ok", str(config.name))
    key = f", key from {endpoint.api_key_env}" if endpoint.api_key_env else ""
    summary = f"{endpoint.model} at {endpoint.url}{key}"
    return (
        Finding("ok", summary)
        if _listens(endpoint.url)
        else Finding("warning", f"{summary}: nothing listens there")
    )


def _listens(url: str) -> bool:
    """Whether a connection can be made within two seconds; not what it would say."""
    place = urlsplit(url)
    port = place.port or (443 if place.scheme == "https" else 80)
    try:
        socket.create_connection((place.hostname, port), timeout=2.0).close()
    except OSError:
        return False
    return True


def _attention(recipe: Recipe) -> Finding:
    """What transformers and torch would say in each rank, an hour later."""
    name, on_cpu = recipe.model.attention, recipe.sampler.device == "cpu"
    package = {"flash_attention_2": "flash_attn", "flash_attention_3": "flash_attn_interface"}.get(name)
    if package is not None and find_spec(package) is None:
        return Finding(
            "failed",
            f"model.attention={name} needs the package {package}, which is not installed: set torch_varlen, which "
            "torch brings, or sdpa",
        )
    if name == "torch_varlen" and (on_cpu or recipe.model.dtype != "bfloat16"):
        return Finding(
            "failed",
            "model.attention=torch_varlen is for model.dtype=bfloat16 on CUDA: set model.attention=sdpa",
        )
    return Finding("ok", name)


def _wandb() -> Finding:
    require_wandb()
    return Finding("ok", "installed")
