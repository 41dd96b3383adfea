"""From judged rollouts to the batch of an RL step: rewards become advantages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np

from rl.algorithm.advantage.advantages import kl_token_rewards
from rl.algorithm.algorithm import Algorithm
from rl.algorithm.distillation import teacher_advantages
from rl.algorithm.rollouts.settled_groups import Share
from rl.data.batch import Batch
from rl.data.token_sequence import Floats, TokenSequence
from rl.experience.judge import JudgedRollout
from rl.recipe.rl_config import RlConfig
from sampler.prompt import Prompt
from sampler.rollout import Rollout


def packed_rollouts(
    judged: Sequence[JudgedRollout],
    config: RlConfig,
    *,
    right_score: float = 0.5,
    shares: Mapping[str, Share] | None = None,
) -> Batch:
    """One packed batch in the order of ``judged``, without advantages. A response to a verifiable prompt is right
    from a score of ``right_score`` on. ``shares`` are those of an `Experience`."""
    return Batch.of(
        [
            rollout_sequence(
                one.rollout,
                one.prompt,
                kl_coef=config.loss.kl_coef(one.prompt.kind),
                is_right=float(_is_right(one, right_score)),
                **(asdict(shares.get(one.rollout.rollout_id, Share())) if shares else {}),
            )
            for one in judged
        ]
    )


def rollout_sequence(rollout: Rollout, prompt: Prompt, **scalars: float) -> TokenSequence:
    """A rollout as it is learnt from, with the sampler's log-probabilities."""
    return TokenSequence.of_turns(
        rollout.rollout_id,
        prompt.prompt_id,
        [(turn.prompt_token_ids, turn.response_token_ids) for turn in rollout.turns],
        columns={"sample_logprobs": rollout.sample_logprobs},
        scalars=scalars,
        vision_inputs=prompt.vision_inputs,
    )


def with_advantages(
    batch: Batch, rewards: Sequence[float], algorithm: Algorithm, *, values: Floats | None = None
) -> Batch:
    """The batch with columns ``advantages`` and ``returns``, and the critic's ``values`` as ``old_values``. ``rewards``
    are one a sequence.

    With the KL in the reward, the batch's ``old_logprobs`` and ``ref_logprobs`` must be those of the trainer; its
    ``kl_coef`` is then 0, so that the loss does not count the KL again.

    Raises: BadInput as ``Algorithm.estimate``.
    """
    token_rewards, loss = None, algorithm.config.loss
    kl_coef = batch.scalars["kl_coef"]
    if loss.kl_in == "reward" and kl_coef.any():
        old, ref = (batch.rows(batch.column(name)) for name in ("old_logprobs", "ref_logprobs"))
        token_rewards = kl_token_rewards(old, ref, kl_coef.tolist(), loss.kl_estimator)
        batch = batch.with_scalars(kl_coef=np.zeros_like(kl_coef))
    of_teacher = None
    if "teacher_logprobs" in batch.columns:
        logprobs = batch.column("old_logprobs"), batch.column("teacher_logprobs")
        of_teacher = batch.rows(teacher_advantages(*logprobs))
    estimated = algorithm.estimate(
        rewards,
        batch.prompt_ids,
        batch.loss_lengths.tolist(),
        values=None if values is None else batch.rows(values),
        token_rewards=token_rewards,
        **({} if of_teacher is None else {"of_teacher": of_teacher}),
    )
    advantages = np.concatenate(estimated.advantages)
    if "weight" in batch.scalars:
        advantages = advantages * np.repeat(batch.scalars["weight"], batch.loss_lengths)
    return batch.with_columns(
        advantages=advantages,
        returns=np.concatenate(estimated.returns),
        **({} if values is None else {"old_values": values}),
    )


def mini_batches(prompt_ids: Sequence[str], num: int, *, seed: str) -> list[list[int]]:
    """Sequences of these prompts in ``num`` parts for one optimizer step each, as indices. Prompts are shuffled by
    ``seed``; a group stays whole, so that a picture is encoded once."""
    members: dict[str, list[int]] = {}
    for index, prompt_id in enumerate(prompt_ids):
        members.setdefault(prompt_id, []).append(index)
    order = np.random.default_rng(list(seed.encode())).permutation(len(members))
    groups = list(members.values())
    parts = [[index for group in part for index in groups[group]] for part in np.array_split(order, num)]
    return [part for part in parts if part]


def _is_right(one: JudgedRollout, right_score: float) -> bool:
    score = one.reward.value
    return one.prompt.kind == "verifiable" and score is not None and score >= right_score
