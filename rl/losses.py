"""Losses by name. The trainer hands over log-probabilities and columns; it does not know which algorithm runs.

Policy losses are verl's (``verl.trainer.ppo.core_algos.POLICY_LOSS_REGISTRY``); ``sft`` is the negative
log-likelihood. All are normalised by the counts of the whole optimizer step, so neither the number of ranks nor the
way a batch is cut into micro-batches changes a gradient.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch

SFT_LOSS = "sft"


@dataclass(frozen=True)
class LossSpec:
    """Which loss, with its numbers. ``name`` is ``sft`` or one of verl's policy losses."""

    name: str = SFT_LOSS
    clip_low: float = 0.2
    clip_high: float = 0.2
    aggregation: str = "token-mean"
    kl_estimator: str = "k3"
    entropy_coef: float = 0.0
    temperature: float = 1.0
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class LossInputs:
    """Columns of a micro-batch as [sequences, longest response] matrices, ``kl_coef`` as [sequences]."""

    logprobs: torch.Tensor
    entropy: torch.Tensor | None
    old_logprobs: torch.Tensor
    ref_logprobs: torch.Tensor
    sample_logprobs: torch.Tensor
    advantages: torch.Tensor
    mask: torch.Tensor
    kl_coef: torch.Tensor
    num_loss_tokens: int
    num_loss_sequences: int
    num_ranks: int


def compute_loss(spec: LossSpec, inputs: LossInputs) -> tuple[torch.Tensor, dict[str, float]]:
    """The rank's share of the loss, scaled so that the mean over ranks is the global value, and metrics.

    Metrics named ``*_sum`` are sums over this micro-batch's loss tokens: add them up, then divide by the step's count.
    """
    from verl.trainer.ppo.core_algos import agg_loss

    counts = {
        "dp_size": inputs.num_ranks,
        "batch_num_tokens": inputs.num_loss_tokens,
        "global_batch_size": inputs.num_loss_sequences,
    }
    mask = inputs.mask
    metrics = {"nll_sum": _sum(-inputs.logprobs, mask)}
    if spec.name == SFT_LOSS:
        return agg_loss(-inputs.logprobs, mask, spec.aggregation, **counts), metrics

    from verl.trainer.ppo.core_algos import get_policy_loss_fn

    policy_loss = get_policy_loss_fn(spec.name)
    config = _actor_config(
        spec.clip_low, spec.clip_high, spec.aggregation, tuple(sorted(spec.options.items()))
    )
    config.global_batch_info.clear()
    config.global_batch_info.update(counts)
    loss, loss_metrics = policy_loss(
        inputs.old_logprobs, inputs.logprobs, inputs.advantages, mask, spec.aggregation, config, None
    )
    num_tokens = float(mask.sum())
    for name, value in loss_metrics.items():  # verl's are means over the micro-batch
        metrics[f"{name.removeprefix('actor/')}_sum"] = float(value) * num_tokens
    if (
        inputs.ref_logprobs.any()
    ):  # there is a reference; its KL is reported for samples without a coefficient too
        from verl.trainer.ppo.core_algos import kl_penalty

        kl = kl_penalty(inputs.logprobs, inputs.ref_logprobs, spec.kl_estimator)
        loss = loss + agg_loss(kl * inputs.kl_coef[:, None], mask, spec.aggregation, **counts)
        metrics["ref_kl_sum"] = _sum(kl, mask)
    if spec.entropy_coef:
        assert inputs.entropy is not None
        loss = loss - spec.entropy_coef * agg_loss(inputs.entropy, mask, spec.aggregation, **counts)
    if inputs.entropy is not None:
        metrics["entropy_sum"] = _sum(inputs.entropy, mask)
    return loss, metrics


@lru_cache(maxsize=8)
def _actor_config(
    clip_low: float, clip_high: float, aggregation: str, options: tuple[tuple[str, Any], ...]
) -> Any:
    """verl's actor section, from which its losses read their numbers."""
    from verl.workers.config import ActorConfig

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
        **dict(options),
    )


def _sum(values: torch.Tensor, mask: torch.Tensor) -> float:
    return float((values.detach() * mask).sum())
