"""The algorithms a recipe names, checked against verl's registries before any engine starts."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from rl.advantages import GROUP_RELATIVE
from rl.recipe import RlConfig
from verifiers.errors import BadInput, near_name

# What `rl.advantages.compute_advantages` has to offer an estimator.
OFFERED = frozenset({"token_level_rewards", "response_mask", "index", "config", "norm_adv_by_std_in_grpo"})


def require_known_algorithms(config: RlConfig) -> None:
    """Raises: BadInput for an advantage or a policy loss that verl does not have, or that Hone cannot feed."""
    from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY, POLICY_LOSS_REGISTRY

    usable = {name: function for name, function in ADV_ESTIMATOR_REGISTRY.items() if not _lacking(function)}
    _require("rl.advantage", config.advantage, ADV_ESTIMATOR_REGISTRY, usable)
    _require("rl.loss.policy_loss", config.loss.policy_loss, POLICY_LOSS_REGISTRY, POLICY_LOSS_REGISTRY)
    if config.advantage in GROUP_RELATIVE and config.samples_per_prompt < 2:
        raise BadInput(
            f"rl.advantage={config.advantage!r} compares responses of one prompt: rl.samples_per_prompt must be at "
            f"least 2, got {config.samples_per_prompt}"
        )


def _require(key: str, name: str, known: Mapping[str, Any], usable: Mapping[str, Any]) -> None:
    if name in usable:
        return
    if name in known:
        raise BadInput(
            f"{key}={name!r} needs {', '.join(_lacking(known[name]))}, which this program does not make"
        )
    raise BadInput(f"{key}={name!r} is unknown{near_name(name, usable)} (known: {', '.join(sorted(usable))})")


def _lacking(estimator: Any) -> list[str]:
    """Arguments without a default that nobody fills in: a critic's values, a greedy baseline."""
    parameters = inspect.signature(estimator).parameters.values()
    return [
        one.name
        for one in parameters
        if one.default is one.empty
        and one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)
        and one.name not in OFFERED
    ]
