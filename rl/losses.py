"""Losses by name. The trainer hands over log-probabilities and columns; it does not know which algorithm runs.

Policy losses are verl's (``verl.trainer.ppo.core_algos.POLICY_LOSS_REGISTRY``); ``sft`` is the negative
log-likelihood, ``value`` and ``linear`` are the critic's. All are normalised by the counts of the whole optimizer
step, so neither the number of ranks nor the way a batch is cut into micro-batches changes a gradient.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch

from rl.value_loss import linear_loss, value_loss

SFT_LOSS = "sft"
VALUE_LOSS = "value"
LINEAR_LOSS = "linear"  # sum of advantage x value: a gradient found elsewhere
CRITIC_LOSSES = (VALUE_LOSS, LINEAR_LOSS)


@dataclass(frozen=True)
class LossSpec:
    """Which loss, with its numbers. ``name`` is ``sft``, ``value``, ``linear`` or one of verl's policy losses.

    positive_nll_coef: weight of the likelihood of right responses (VAPO, 2504.05118); importance: how the sampler's
    probabilities are corrected for, see ``importance_weights``; value_clip: of the critic's loss.
    """

    name: str = SFT_LOSS
    clip_low: float = 0.2
    clip_high: float = 0.2
    aggregation: str = "token-mean"
    kl_estimator: str = "k3"
    entropy_coef: float = 0.0
    temperature: float = 1.0
    positive_nll_coef: float = 0.0
    importance: str = "none"
    importance_cap: float = 2.0
    value_clip: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class LossInputs:
    """Columns of a micro-batch as [sequences, longest response] matrices, ``kl_coef`` and ``is_right`` as [sequences].

    The model gives ``logprobs`` for a policy's loss and ``values`` for the critic's.
    """

    logprobs: torch.Tensor | None
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
    is_right: torch.Tensor | None = None
    num_right_tokens: int = 0
    values: torch.Tensor | None = None
    old_values: torch.Tensor | None = None
    returns: torch.Tensor | None = None


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
    mask, logprobs = inputs.mask, inputs.logprobs
    if spec.name == VALUE_LOSS:
        assert inputs.values is not None and inputs.old_values is not None and inputs.returns is not None
        return value_loss(inputs.values, inputs.old_values, inputs.returns, mask, spec.value_clip, counts)
    if spec.name == LINEAR_LOSS:
        assert inputs.values is not None
        return linear_loss(inputs.values, inputs.advantages, mask, inputs.num_ranks), {}
    assert logprobs is not None
    metrics = {"nll_sum": _sum(-logprobs, mask)}
    if spec.name == SFT_LOSS:
        return agg_loss(-logprobs, mask, spec.aggregation, **counts), metrics

    from verl.trainer.ppo.core_algos import get_policy_loss_fn

    policy_loss = get_policy_loss_fn(spec.name)
    config = _actor_config(
        spec.clip_low, spec.clip_high, spec.aggregation, tuple(sorted(spec.options.items()))
    )
    config.global_batch_info.clear()
    config.global_batch_info.update(counts)
    weights = None
    if spec.importance != "none":
        weights, outside = importance_weights(
            inputs.old_logprobs, inputs.sample_logprobs, spec.importance, spec.importance_cap
        )
        metrics["importance_weight_sum"] = _sum(weights, mask)
        metrics["importance_outside_frac_sum"] = _sum(outside, mask)
    loss, loss_metrics = policy_loss(
        inputs.old_logprobs, logprobs, inputs.advantages, mask, spec.aggregation, config, weights
    )
    num_tokens = float(mask.sum())
    for name, value in loss_metrics.items():  # verl's are means over the micro-batch
        metrics[f"{name.removeprefix('actor/')}_sum"] = float(value) * num_tokens
    if (
        inputs.ref_logprobs.any()
    ):  # there is a reference; its KL is reported for samples without a coefficient too
        from verl.trainer.ppo.core_algos import kl_penalty

        kl = kl_penalty(logprobs, inputs.ref_logprobs, spec.kl_estimator)
        loss = loss + agg_loss(kl * inputs.kl_coef[:, None], mask, spec.aggregation, **counts)
        metrics["ref_kl_sum"] = _sum(kl, mask)
    if spec.positive_nll_coef:
        nll = _positive_nll(logprobs, inputs)
        loss = loss + spec.positive_nll_coef * nll
        # Divided by the step's loss tokens later, like all sums: a mean over the right tokens comes out.
        metrics["positive_nll_sum"] = float(nll.detach()) / inputs.num_ranks * inputs.num_loss_tokens
    if spec.entropy_coef:
        assert inputs.entropy is not None
        loss = loss - spec.entropy_coef * agg_loss(inputs.entropy, mask, spec.aggregation, **counts)
    if inputs.entropy is not None:
        metrics["entropy_sum"] = _sum(inputs.entropy, mask)
    return loss, metrics


def importance_weights(
    old_logprobs: torch.Tensor, sample_logprobs: torch.Tensor, how: str, cap: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights w = pi_old / pi_sample of tokens that the sampler drew, for the trainer's policy; and which were changed.

    ``truncate``: min(w, cap), truncated importance sampling (fengyao.notion.site/off-policy-rl). ``mask``: w within
    [1 / cap, cap] and 0 outside, as IcePop does (2510.18855). No gradient flows through a weight.
    """
    weights = torch.exp(torch.clamp(old_logprobs - sample_logprobs, -20.0, 20.0)).detach()
    if how == "truncate":
        return weights.clamp(max=cap), (weights > cap).to(weights.dtype)
    assert how == "mask", how
    outside = (weights > cap) | (weights < 1.0 / cap)
    return weights.masked_fill(outside, 0.0), outside.to(weights.dtype)


def _positive_nll(logprobs: torch.Tensor, inputs: LossInputs) -> torch.Tensor:
    """-log pi averaged over the tokens of the step's right responses (VAPO, 2504.05118); 0 without any."""
    assert inputs.is_right is not None
    right_mask = inputs.mask * inputs.is_right[:, None]
    return -(logprobs * right_mask).sum() / max(1, inputs.num_right_tokens) * inputs.num_ranks


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
