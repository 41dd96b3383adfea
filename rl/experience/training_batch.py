"""From judged rollouts to the batch of an RL step: undecided rollouts are left out, rewards become advantages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from rl.algorithm.advantages import GaeSettings, compute_advantages, kl_token_rewards
from rl.algorithm.algorithm import GROUP_RELATIVE
from rl.algorithm.informative_groups import informative_groups
from rl.algorithm.reward_shaping import overlong_penalty, reward_weight, unparseable_penalty
from rl.data.batch import Floats, TrainBatch, TrainSequence
from rl.experience.judge import JudgedRollout
from rl.recipe.rl_config import RlConfig
from verifiers.errors import HoneError


def usable_rollouts(judged: Sequence[JudgedRollout], advantage: str) -> list[JudgedRollout]:
    """Rollouts with a reward; of a group-relative estimator also those with at least one sibling left."""
    decided = [one for one in judged if one.reward.value is not None]
    if advantage not in GROUP_RELATIVE:
        return decided
    sizes = Counter(one.prompt.prompt_id for one in decided)
    return [one for one in decided if sizes[one.prompt.prompt_id] > 1]


def packed_rollouts(
    judged: Sequence[JudgedRollout], config: RlConfig, *, right_score: float = 0.5
) -> TrainBatch:
    """One packed batch in the order of ``judged``, without advantages. A response to a verifiable prompt is right
    from a score of ``right_score`` on.

    Raises: HoneError when there is nothing to learn from.
    """
    if not judged:
        raise HoneError(
            f"no rollout of a step can be learnt from: none was judged, or for rl.advantage={config.advantage!r} "
            "none beside another of its prompt"
        )
    kl_coef = {"verifiable": config.loss.kl_coef_verifiable, "general": config.loss.kl_coef_general}
    return TrainBatch.of(
        [
            TrainSequence(
                sequence_id=one.rollout.rollout_id,
                prompt_id=one.prompt.prompt_id,
                token_ids=np.concatenate([one.rollout.prompt_token_ids, one.rollout.response_token_ids]),
                num_prompt_tokens=len(one.rollout.prompt_token_ids),
                vision_inputs=one.prompt.vision_inputs,
                sample_logprobs=one.rollout.sample_logprobs,
                kl_coef=kl_coef[one.prompt.kind],
                is_right=one.prompt.kind == "verifiable" and _score(one) >= right_score,
            )
            for one in judged
        ]
    )


def training_rewards(judged: Sequence[JudgedRollout], config: RlConfig) -> list[float]:
    """What is learnt from: the judge's score, weighed by verifier or kind, less the penalties for an answer that the
    verifier cannot read and for length. Without such settings, the score."""
    return [
        reward_weight(config.reward_weights, kind=one.prompt.kind, verifier=one.prompt.verifier) * _score(one)
        + unparseable_penalty(
            one.reward.verdict.status if one.reward.verdict is not None else None, config.unparseable_penalty
        )
        + overlong_penalty(
            one.rollout.num_response_tokens,
            max_tokens=config.max_response_tokens,
            cache_tokens=config.overlong_cache_tokens,
        )
        for one in judged
    ]


def with_advantages(
    batch: TrainBatch, rewards: Sequence[float], config: RlConfig, *, values: Floats | None = None
) -> TrainBatch:
    """The batch with ``advantages``, ``returns`` and ``old_values``. ``rewards`` are one a sequence; ``values`` are the
    critic's, a flat response column.

    With the KL in the reward, the batch's ``old_logprobs`` and ``ref_logprobs`` must be those of the trainer; its
    ``kl_coef`` is then 0, so that the loss does not count the KL again.

    Raises: BadInput as ``compute_advantages``.
    """
    token_rewards = None
    if config.loss.kl_in == "reward" and batch.kl_coef.any():
        assert batch.ref_logprobs.any(), "log-probabilities come before a KL in the reward"
        token_rewards = kl_token_rewards(
            batch.split_response_column(batch.old_logprobs),
            batch.split_response_column(batch.ref_logprobs),
            batch.kl_coef.tolist(),
            config.loss.kl_estimator,
        )
        batch = batch.replace(kl_coef=np.zeros_like(batch.kl_coef))
    estimated = compute_advantages(
        config.advantage,
        rewards,
        batch.prompt_ids,
        batch.response_lengths.tolist(),
        normalize_by_std=config.normalize_by_std,
        values=None if values is None else batch.split_response_column(values),
        token_rewards=token_rewards,
        gae=GaeSettings.of(config),
    )
    return batch.replace(
        advantages=np.concatenate(estimated.advantages),
        returns=np.concatenate(estimated.returns),
        old_values=batch.old_values if values is None else values,
    )


def mini_batches(batch: TrainBatch, num: int, *, seed: str) -> list[TrainBatch]:
    """The batch in ``num`` parts for one optimizer step each. Prompts are shuffled by ``seed``; a group stays whole, so
    that a picture is encoded once. Each part counts its own loss tokens."""
    members: dict[str, list[int]] = {}
    for index, prompt_id in enumerate(batch.prompt_ids):
        members.setdefault(prompt_id, []).append(index)
    order = np.random.default_rng(list(seed.encode())).permutation(len(members))
    groups = list(members.values())
    parts = [[index for group in part for index in groups[group]] for part in np.array_split(order, num)]
    return [batch.select(part).counted() for part in parts if part]


def _score(one: JudgedRollout) -> float:
    assert one.reward.value is not None, "undecided rollouts never reach a loss"
    return one.reward.value


def kept_groups(judged: Sequence[JudgedRollout], config: RlConfig) -> list[JudgedRollout]:
    """The rollouts, undecided ones left out, of groups that carry a signal."""
    decided = [one for one in judged if one.reward.value is not None]
    informative = informative_groups(
        [one.reward.value for one in decided if one.reward.value is not None],
        [one.prompt.prompt_id for one in decided],
    )
    return [one for one in decided if one.prompt.prompt_id in informative]
