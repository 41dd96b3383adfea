"""From judged rollouts to the batch of an RL step: undecided rollouts are left out, rewards become advantages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rl.algorithm.advantages import kl_token_rewards
from rl.algorithm.algorithm import Algorithm
from rl.data.batch import Floats, TrainBatch, TrainSequence
from rl.experience.judge import JudgedRollout
from rl.recipe.rl_config import RlConfig


def packed_rollouts(
    judged: Sequence[JudgedRollout], config: RlConfig, *, right_score: float = 0.5
) -> TrainBatch:
    """One packed batch in the order of ``judged``, without advantages. A response to a verifiable prompt is right
    from a score of ``right_score`` on."""
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


def with_advantages(
    batch: TrainBatch, rewards: Sequence[float], algorithm: Algorithm, *, values: Floats | None = None
) -> TrainBatch:
    """The batch with ``advantages``, ``returns`` and ``old_values``. ``rewards`` are one a sequence; ``values`` are the
    critic's, a flat response column.

    With the KL in the reward, the batch's ``old_logprobs`` and ``ref_logprobs`` must be those of the trainer; its
    ``kl_coef`` is then 0, so that the loss does not count the KL again.

    Raises: BadInput as ``Algorithm.estimate``.
    """
    token_rewards, loss = None, algorithm.config.loss
    if loss.kl_in == "reward" and batch.kl_coef.any():
        assert batch.ref_logprobs.any(), "log-probabilities come before a KL in the reward"
        token_rewards = kl_token_rewards(
            batch.split_response_column(batch.old_logprobs),
            batch.split_response_column(batch.ref_logprobs),
            batch.kl_coef.tolist(),
            loss.kl_estimator,
        )
        batch = batch.replace(kl_coef=np.zeros_like(batch.kl_coef))
    estimated = algorithm.estimate(
        rewards,
        batch.prompt_ids,
        batch.response_lengths.tolist(),
        values=None if values is None else batch.split_response_column(values),
        token_rewards=token_rewards,
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
