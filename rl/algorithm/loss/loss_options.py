"""What verl's policy losses read beside the clips, under verl's names, and what a recipe may not ask of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from rl.recipe.rl_config import LossConfig
from verifiers.errors import BadInput, near_name

# By loss the options of `rl.loss.options` with the value that each has where it is not given; None: it must be given.
OPTIONS: Mapping[str, Mapping[str, float | None]] = {
    "vanilla": {"clip_ratio_c": 3.0},  # dual clip: where A < 0 the loss is at most c |A| (1912.09729)
    "dppo_tv": {"clip_ratio_c": 3.0},  # the ratio that weighs a token is cut here (2602.04879)
    "dppo_kl": {"clip_ratio_c": 3.0},
    "sapo": {
        "tau_pos": 1.0,
        "tau_neg": 1.05,
    },  # sharpness of the gate for A > 0, and for the others (2511.20347)
    "clip_cov": {"clip_cov_ratio": 0.0002, "clip_cov_lb": 1.0, "clip_cov_ub": 5.0},  # 2505.22617
    "kl_cov": {"kl_cov_ratio": 0.0002, "ppo_kl_coef": 0.1},
    "dro": {"dro_beta": None},  # weight of the squared log-ratio
}
OF_ACTOR = {"clip_ratio_c", "tau_pos", "tau_neg"}  # the others are of verl's section policy_loss
# A mean over sequences, whatever the recipe names.
AGGREGATION: Mapping[str, str] = {"sapo": "seq-mean-token-mean", "geo_mean": "seq-mean-token-mean"}
# One of them ignores the weights of tokens, the other averages their logarithms.
NO_IMPORTANCE: Mapping[str, tuple[str, ...]] = {"bypass_mode": ("truncate", "mask"), "geo_mean": ("mask",)}


def require_settings(loss: LossConfig) -> None:
    """Raises: BadInput for settings that the policy loss does not follow, and for one that it lacks."""
    name = f"rl.loss.policy_loss={loss.policy_loss!r}"
    aggregation = AGGREGATION.get(loss.policy_loss, loss.aggregation)
    if loss.aggregation != aggregation:
        raise BadInput(
            f"{name} averages sequences whatever rl.loss.aggregation={loss.aggregation} says: set it to {aggregation}"
        )
    if loss.importance in NO_IMPORTANCE.get(loss.policy_loss, ()):
        raise BadInput(
            f"rl.loss.importance={loss.importance!r} has no meaning for {name}: set it to none, or use another loss"
        )
    known = OPTIONS.get(loss.policy_loss, {})
    for option, value in loss.options.items():
        if option not in known:
            has = f"its options are {', '.join(known)}" if known else "it has no options"
            raise BadInput(
                f"rl.loss.options: {option!r} is none of {name}{near_name(option, list(known))} ({has})"
            )
        least = 1.0 if option == "clip_ratio_c" else 0.0
        if value <= least:
            raise BadInput(f"rl.loss.options.{option}={value:g} must be above {least:g}")
    for option, usual in known.items():
        if usual is None and option not in loss.options:
            raise BadInput(f"{name} needs rl.loss.options.{option}, which has no usual value")


@lru_cache(maxsize=8)
def verl_config(
    clip_low: float, clip_high: float, aggregation: str, options: tuple[tuple[str, float], ...]
) -> Any:
    """verl's actor section, from which its losses read their numbers."""
    from verl.workers.config import ActorConfig, PolicyLossConfig

    return ActorConfig(
        strategy="deepspeed",
        rollout_n=1,
        ppo_mini_batch_size=1,
        ppo_micro_batch_size_per_gpu=1,
        use_dynamic_bsz=True,
        clip_ratio=clip_low,
        clip_ratio_low=clip_low,
        clip_ratio_high=clip_high,
        loss_agg_mode=aggregation,
        policy_loss=PolicyLossConfig(**{name: value for name, value in options if name not in OF_ACTOR}),
        **{name: value for name, value in options if name in OF_ACTOR},
    )
