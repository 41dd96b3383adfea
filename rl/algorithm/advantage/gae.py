"""Generalized advantage estimation with one lambda for the actor and another for the critic."""

from __future__ import annotations

import torch
from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY, register_adv_est

NAME = "decoupled_gae"

ADV_ESTIMATOR_REGISTRY.pop(NAME, None)  # verl refuses a second function, a reloaded module's too


@register_adv_est(NAME)
def decoupled_gae(
    token_level_rewards: torch.Tensor,
    values: torch.Tensor,
    response_mask: torch.Tensor,
    gamma: float = 1.0,
    lambda_actor: float | str = 1.0,
    lambda_critic: float = 1.0,
    length_adaptive_alpha: float = 0.05,
    whiten: bool = True,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Advantages with the actor's lambda and returns with the critic's (VC-PPO, 2503.01491), all [B, T].

    ``lambda_actor`` is a number or ``length_adaptive`` (VAPO, 2504.05118). With equal lambdas the result is that of
    verl's ``gae``, except that tokens outside the mask get 0.
    """
    mask = response_mask.to(values.dtype)
    with torch.no_grad():
        critic = generalized_advantage(token_level_rewards, values, mask, gamma=gamma, lam=lambda_critic)
        if lambda_actor == lambda_critic:
            actor = critic
        else:
            lam = (
                length_adaptive_lambda(mask.sum(-1), length_adaptive_alpha)
                if isinstance(lambda_actor, str)
                else lambda_actor
            )
            actor = generalized_advantage(token_level_rewards, values, mask, gamma=gamma, lam=lam)
        returns = torch.where(mask > 0, critic + values, 0.0)
        return (whitened(actor, mask) if whiten else actor), returns


def generalized_advantage(
    rewards: torch.Tensor,
    values: torch.Tensor,
    mask: torch.Tensor,
    *,
    gamma: float,
    lam: float | torch.Tensor,
) -> torch.Tensor:
    """A_t = sum over l of (gamma lam)^l delta_(t+l), with delta_t = r_t + gamma V_(t+1) - V_t, as [B, T].

    1506.02438, equation 16. t counts tokens of the mask alone: gaps are stepped over and hold 0; behind the last one
    the value is 0. ``lam`` is a number or one a row, [B].
    """
    advantages = torch.zeros_like(values)
    next_advantage = next_value = torch.zeros_like(values[:, 0])
    for t in reversed(range(values.shape[1])):
        here = mask[:, t] > 0
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        next_advantage = torch.where(here, delta + gamma * lam * next_advantage, next_advantage)
        next_value = torch.where(here, values[:, t], next_value)
        advantages[:, t] = torch.where(here, next_advantage, 0.0)
    return advantages


def length_adaptive_lambda(lengths: torch.Tensor, alpha: float) -> torch.Tensor:
    """max(0, 1 - 1 / (alpha length)) for responses of ``lengths`` tokens (VAPO, 2504.05118, section 4.2): the weights
    of a response's TD errors then sum to about alpha times its length, however long it is."""
    return (1.0 - 1.0 / (alpha * lengths.clamp(min=1))).clamp(min=0.0)


def whitened(advantages: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean 0 and unbiased variance 1 over the tokens of the mask, 0 elsewhere (verl's ``masked_whiten``)."""
    count = mask.sum()
    mean = (advantages * mask).sum() / count.clamp(min=1)
    centred = (advantages - mean) * mask
    variance = (centred**2).sum() / (count - 1).clamp(min=1)
    return centred * torch.rsqrt(variance + 1e-8)
