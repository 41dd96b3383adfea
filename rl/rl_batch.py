"""From judged rollouts to the batch of an RL step: rewards become advantages, undecided rollouts are left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from rl.advantages import GROUP_RELATIVE, compute_advantages
from rl.batch import TrainBatch, TrainSequence
from rl.judging import JudgedRollout
from rl.recipe import RlConfig
from verifiers.errors import HoneError


def usable_rollouts(judged: Sequence[JudgedRollout], advantage: str) -> list[JudgedRollout]:
    """Rollouts with a reward; of a group-relative estimator also those with at least one sibling left."""
    decided = [one for one in judged if one.reward.value is not None]
    if advantage not in GROUP_RELATIVE:
        return decided
    sizes = Counter(one.prompt.prompt_id for one in decided)
    return [one for one in decided if sizes[one.prompt.prompt_id] > 1]


def rl_batch(judged: Sequence[JudgedRollout], config: RlConfig) -> TrainBatch:
    """One packed batch in the order of ``judged``, advantages and per-sample KL coefficients filled in.

    Raises: HoneError when there is nothing to learn from.
    """
    if not judged:
        raise HoneError(
            f"no rollout of a step can be learnt from: none was judged, or for rl.advantage={config.advantage!r} "
            "none beside another of its prompt"
        )
    rewards = [one.reward.value for one in judged if one.reward.value is not None]
    assert len(rewards) == len(judged), "undecided rollouts never reach a loss"
    advantages = compute_advantages(
        config.advantage,
        rewards,
        [one.prompt.prompt_id for one in judged],
        [one.rollout.num_response_tokens for one in judged],
        normalize_by_std=config.normalize_by_std,
    )
    kl_coef = {"verifiable": config.loss.kl_coef_verifiable, "general": config.loss.kl_coef_general}
    return TrainBatch.of(
        [
            TrainSequence(
                sequence_id=one.rollout.rollout_id,
                prompt_id=one.prompt.prompt_id,
                token_ids=np.concatenate([one.rollout.prompt_token_ids, one.rollout.response_token_ids]),
                num_prompt_tokens=len(one.rollout.prompt_token_ids),
                images=one.prompt.images,
                advantages=values,
                sample_logprobs=one.rollout.sample_logprobs,
                kl_coef=kl_coef[one.prompt.kind],
            )
            for one, values in zip(judged, advantages, strict=True)
        ]
    )


def mini_batches(batch: TrainBatch, num: int, *, seed: str) -> list[TrainBatch]:
    """The batch in ``num`` parts for one optimizer step each. Prompts are shuffled by ``seed``; a group stays whole, so
    that a picture is encoded once. Each part counts its own loss tokens."""
    members: dict[str, list[int]] = {}
    for place, prompt_id in enumerate(batch.prompt_ids):
        members.setdefault(prompt_id, []).append(place)
    order = np.random.default_rng(list(seed.encode())).permutation(len(members))
    groups = list(members.values())
    parts = [[place for group in part for place in groups[group]] for part in np.array_split(order, num)]
    return [batch.select(part).counted() for part in parts if part]
