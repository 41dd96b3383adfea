"""How far the trainer's policy is from what the sampler drew with, as a weight of each token."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def importance_weights(
    old_logprobs: torch.Tensor, sample_logprobs: torch.Tensor, how: str, cap: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights w = pi_old / pi_sample of tokens that the sampler drew, for the trainer's policy; and which were changed.

    ``truncate``: min(w, cap), truncated importance sampling (fengyao.notion.site/off-policy-rl). ``mask``: w within
    [1 / cap, cap] and 0 outside, as IcePop does (2510.18855). No gradient flows through a weight.
    """
    weights = (old_logprobs - sample_logprobs).clamp(-20.0, 20.0).exp().detach()
    if how == "truncate":
        return weights.clamp(max=cap), (weights > cap).to(weights.dtype)
    assert how == "mask", how
    outside = (weights > cap) | (weights < 1.0 / cap)
    return weights.masked_fill(outside, 0.0), outside.to(weights.dtype)
