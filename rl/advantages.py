"""Advantages by name, from verl's registry, over rewards of whole responses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rl.batch import Floats
from verifiers.errors import BadInput

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


def compute_advantages(
    name: str,
    rewards: Sequence[float],
    group_ids: Sequence[str],
    response_lengths: Sequence[int],
    *,
    normalize_by_std: bool = True,
) -> list[Floats]:
    """One array a response, [its length]: the outcome's advantage on every token.

    ``group_ids`` says which responses belong to one prompt. GRPO: (r - mean) / (std + 1e-6) within the group, with the
    unbiased std (DeepSeekMath, 2402.03300, section 4.1.2; verl ``compute_grpo_outcome_advantage``).

    Raises: BadInput for an unknown name, or a group of one where the baseline is the group's mean.
    """
    import torch
    from verl.trainer.config import AlgoConfig
    from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY

    if name not in ADV_ESTIMATOR_REGISTRY:
        raise BadInput(
            f"rl.advantage={name!r} is unknown; verl has {', '.join(sorted(ADV_ESTIMATOR_REGISTRY))}"
        )
    if name in GROUP_RELATIVE:
        ids, counts = np.unique(np.asarray(group_ids), return_counts=True)
        if len(ids) and counts.min() < 2:
            raise BadInput(
                f"rl.advantage={name!r} compares responses of one prompt, but prompt {ids[counts.argmin()]} "
                "has a single judged response: raise rl.samples_per_prompt or use another estimator"
            )
    longest = max(response_lengths)
    mask = torch.zeros(len(rewards), longest)
    token_rewards = torch.zeros(len(rewards), longest)
    for row, (reward, length) in enumerate(zip(rewards, response_lengths, strict=True)):
        mask[row, :length] = 1.0
        token_rewards[row, length - 1] = reward
    advantages, _ = ADV_ESTIMATOR_REGISTRY[name](
        token_level_rewards=token_rewards,
        response_mask=mask,
        index=np.asarray(group_ids, dtype=object),
        config=AlgoConfig(adv_estimator=name, norm_adv_by_std_in_grpo=normalize_by_std),
        **({"norm_adv_by_std_in_grpo": normalize_by_std} if name == "grpo" else {}),
    )
    return [
        advantages[row, :length].numpy().astype(np.float32) for row, length in enumerate(response_lengths)
    ]
