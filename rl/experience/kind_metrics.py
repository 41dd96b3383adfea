"""The figures of an RL step by kind of prompt: what a rule verifies and what a reward model judges, side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rl.data.batch import TrainBatch
from rl.experience.judge import JudgedRollout
from sampler.prompt import PROMPT_KINDS


def kind_metrics(judged: Sequence[JudgedRollout]) -> dict[str, float]:
    """``kind/KIND/*``: rollouts, reward, length and sound answers of each kind that the step has."""
    metrics: dict[str, float] = {}
    for kind in PROMPT_KINDS:
        own = [one for one in judged if one.prompt.kind == kind]
        if not own:
            continue
        rewards = [one.reward.value for one in own if one.reward.value is not None]
        metrics |= {
            f"kind/{kind}/num_rollouts": float(len(own)),
            f"kind/{kind}/reward_mean": float(np.mean(rewards)) if rewards else 0.0,
            f"kind/{kind}/unjudged_frac": 1.0 - len(rewards) / len(own),
            f"kind/{kind}/answer_ok_frac": float(np.mean([one.answer.ok for one in own])),
            f"kind/{kind}/response_tokens_mean": float(
                np.mean([one.rollout.num_response_tokens for one in own])
            ),
        }
    return metrics


def kl_metrics(batch: TrainBatch, kinds: Sequence[str]) -> dict[str, float]:
    """``kind/KIND/kl_*``: mean log pi_old - log pi_ref in nats, a token and a response, over the sampled tokens.

    The estimator k1 (unbiased) whatever the loss uses. ``kinds`` are those of the batch's sequences; the batch holds
    the trainer's old and reference log-probabilities.
    """
    sums = [
        float((difference * mask).sum())
        for difference, mask in zip(
            batch.split_response_column(batch.old_logprobs - batch.ref_logprobs),
            batch.split_response_column(batch.loss_mask),
            strict=True,
        )
    ]
    tokens = [float(mask.sum()) for mask in batch.split_response_column(batch.loss_mask)]
    metrics: dict[str, float] = {}
    for kind in PROMPT_KINDS:
        places = [place for place, one in enumerate(kinds) if one == kind]
        if places:
            total = sum(sums[place] for place in places)
            metrics[f"kind/{kind}/kl_token_mean"] = total / max(1.0, sum(tokens[place] for place in places))
            metrics[f"kind/{kind}/kl_response_mean"] = total / len(places)
    return metrics
