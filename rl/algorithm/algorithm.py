"""The algorithms a recipe names, checked against verl's registries before any engine starts."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, get_args

from rl.recipe.rl_config import RlConfig
from sampler.prompt import PromptKind
from verifiers.errors import BadInput, near_name
from verifiers.registry import verifier_names

GROUP_RELATIVE = frozenset(
    {
        "grpo",
        "grpo_vectorized",
        "grpo_passk",
        "rloo",
        "rloo_vectorized",
        "opo",
        "gpg",
        "reinforce_plus_plus_baseline",
    }
)
NEEDS_CRITIC = frozenset({"gae", "decoupled_gae"})

# What `rl.algorithm.advantages.compute_advantages` has to offer an estimator without a critic.
OFFERED = frozenset({"token_level_rewards", "response_mask", "index", "config", "norm_adv_by_std_in_grpo"})


def require_known_algorithms(config: RlConfig) -> None:
    """Raises: BadInput for an advantage or a policy loss that verl does not have, or that Hone cannot feed, and for
    settings that the named ones would not follow."""
    from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY, POLICY_LOSS_REGISTRY

    import rl.algorithm.gae  # noqa: F401  it registers itself

    usable = {
        name: function
        for name, function in ADV_ESTIMATOR_REGISTRY.items()
        if name in NEEDS_CRITIC or not _lacking(function)
    }
    _require("rl.advantage", config.advantage, ADV_ESTIMATOR_REGISTRY, usable)
    _require("rl.loss.policy_loss", config.loss.policy_loss, POLICY_LOSS_REGISTRY, POLICY_LOSS_REGISTRY)
    if config.advantage in GROUP_RELATIVE and config.samples_per_prompt < 2:
        raise BadInput(
            f"rl.advantage={config.advantage!r} compares responses of one prompt: rl.samples_per_prompt must be at "
            f"least 2, got {config.samples_per_prompt}"
        )
    if config.advantage == "gae" and not (
        config.lambda_actor == config.lambda_critic and config.whiten_advantages
    ):
        raise BadInput(
            "rl.advantage='gae' has one lambda and always whitens: set rl.lambda_actor = rl.lambda_critic and "
            "rl.whiten_advantages=true, or name 'decoupled_gae'"
        )
    _require_importance(config)
    _require_weights(config.reward_weights)


def _require(key: str, name: str, known: Mapping[str, Any], usable: Mapping[str, Any]) -> None:
    if name in usable:
        return
    if name in known:
        raise BadInput(
            f"{key}={name!r} needs {', '.join(_lacking(known[name]))}, which this program does not make"
        )
    raise BadInput(f"{key}={name!r} is unknown{near_name(name, usable)} (known: {', '.join(sorted(usable))})")


def _require_importance(config: RlConfig) -> None:
    """Two of verl's losses do not weigh tokens: one ignores the weights, the other averages their logarithms."""
    loss = config.loss
    refused = {"bypass_mode": ("truncate", "mask"), "geo_mean": ("mask",)}
    if loss.importance in refused.get(loss.policy_loss, ()):
        raise BadInput(
            f"rl.loss.importance={loss.importance!r} has no meaning for rl.loss.policy_loss={loss.policy_loss!r}: "
            "set it to none, or use another loss"
        )


def _require_weights(weights: Mapping[str, float]) -> None:
    known = [*get_args(PromptKind), *verifier_names()]
    for name in weights:
        if name not in known and ":" not in name:  # a verifier may be given as package.module:Class
            raise BadInput(
                f"rl.reward_weights: {name!r} is no kind of prompt and no verifier{near_name(name, known)}"
            )


def _lacking(estimator: Any) -> list[str]:
    """Arguments without a default that nobody fills in, such as a greedy baseline."""
    parameters = inspect.signature(estimator).parameters.values()
    return [
        one.name
        for one in parameters
        if one.default is one.empty
        and one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)
        and one.name not in OFFERED
    ]
