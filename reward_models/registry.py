"""Reward models by name that need no checkpoint: the built-in lines, the entry-point group `hone.reward_models`, or
`package.module:Class`. One with a checkpoint is trained and served (`reward_models.serving`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reward_models.reward_model import RewardModel
from verifiers.errors import BadInput, near_name
from verifiers.plug_in import load_object, plug_in_path, plug_ins

ENTRY_POINT_GROUP = "hone.reward_models"

BUILT_IN = {
    "endpoint": "reward_models.judges.endpoint_judge:EndpointJudge",
    "rubric": "reward_models.judges.rubric_judge:endpoint_rubric",
}


def load_reward_model(name: str, options: Mapping[str, Any]) -> RewardModel:
    """What is behind the name, called with ``options``; nothing is asked yet.

    Raises: BadInput for an unknown name, options that it does not take, or a thing that has no ``compare``.
    """
    path = BUILT_IN.get(name) or plug_in_path(ENTRY_POINT_GROUP, name)
    if path is None:
        known = [*BUILT_IN, *sorted(plug_ins(ENTRY_POINT_GROUP))]
        raise BadInput(
            f"unknown reward model {name!r}{near_name(name, known)} (known: {', '.join(known)}; or "
            "package.module:Class)"
        )
    made = load_object(path, f"reward model {name!r}")
    try:
        model: RewardModel = made(**options)
    except (TypeError, ValueError) as why:
        raise BadInput(f"reward model {name!r}: {why}") from why
    if not callable(getattr(model, "compare", None)):
        raise BadInput(
            f"reward model {name!r} has no method compare: see reward_models.reward_model.RewardModel"
        )
    return model
