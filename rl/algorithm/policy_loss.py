"""Policy losses by name: verl's, and functions of a user's own with the same parameters."""

from __future__ import annotations

from typing import Any

from rl.algorithm.estimator import PLUG_INS
from verifiers.errors import BadInput, near_name
from verifiers.plug_in import load_object, plug_in_path


def policy_loss_function(name: str) -> Any:
    """(old_log_prob, log_prob, advantages, response_mask, loss_agg_mode, config, rollout_is_weights) -> (the rank's
    share of the loss, metrics), as verl's ``register_policy_loss`` has it; matrices are [sequences, longest response].

    Raises: BadInput for a name that neither verl nor an entry point of ``hone.algorithms`` has.
    """
    from verl.trainer.ppo.core_algos import POLICY_LOSS_REGISTRY

    if name in POLICY_LOSS_REGISTRY:
        return POLICY_LOSS_REGISTRY[name]
    path = plug_in_path(PLUG_INS, name)
    if path is not None:
        return load_object(path, f"rl.loss.policy_loss={name!r}")
    known = sorted(POLICY_LOSS_REGISTRY)
    raise BadInput(
        f"rl.loss.policy_loss={name!r} is unknown{near_name(name, known)} (known: {', '.join(known)}; or "
        "package.module:function)"
    )
