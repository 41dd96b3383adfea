"""Advantages by name, from verl's registry, over rewards of whole responses. A token, here, is one that is learnt from:
what a tool said between two turns is stepped over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rl.algorithm.advantage.estimator import OFFERED, Estimator
from rl.data.token_sequence import Floats
from rl.recipe.rl_config import RlConfig
from verifiers.errors import BadInput

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
class Advantages:
    """For each response its advantages and its returns (what a critic learns), [its length] each."""

    advantages: list[Floats]
    returns: list[Floats]


def compute_advantages(
    estimator: Estimator,
    rewards: Sequence[float],
    group_ids: Sequence[str],
    response_lengths: Sequence[int],
    *,
    config: RlConfig,
    values: Sequence[Floats] | None = None,
    token_rewards: Sequence[Floats] | None = None,
) -> Advantages:
    """The estimator over responses whose reward falls on their last token, with the numbers of a recipe's section.

    ``group_ids`` says which responses belong to one prompt. GRPO: (r - mean) / (std + 1e-6) within the group, with the
    unbiased std (DeepSeekMath, 2402.03300, section 4.1.2; verl ``compute_grpo_outcome_advantage``).

    ``values``: the critic's, [its length] for each response, V(s_t) at token t. ``token_rewards``: what is added to
    each token's reward, such as a KL penalty.

    Raises: BadInput for an unknown name, a group of one where the baseline is the group's mean, or no ``values`` where
    the estimator takes a critic's.
    """
    import torch
    from verl.trainer.config import AlgoConfig

    if estimator.needs_groups:
        _check_groups(estimator.name, group_ids)
    if estimator.needs_critic and values is None:
        raise BadInput(f"rl.advantage={estimator.name!r} needs a critic's values, and there is no critic")
    dtype = torch.float64 if estimator.needs_critic else torch.float32  # sums over a whole response
    by_std, lengths = config.normalize_by_std, torch.tensor(response_lengths)
    added = token_rewards or [np.zeros(length, np.float32) for length in response_lengths]
    at_tokens = _padded(added, response_lengths, dtype)
    at_tokens[torch.arange(len(lengths)), lengths - 1] += torch.tensor(rewards, dtype=dtype)
    offered = {
        "token_level_rewards": at_tokens,
        "response_mask": (torch.arange(max(response_lengths)) < lengths[:, None]).to(dtype),
        "index": np.asarray(group_ids, dtype=object),
        "config": AlgoConfig(
            adv_estimator=estimator.name, gamma=config.gamma, norm_adv_by_std_in_grpo=by_std
        ),
        "norm_adv_by_std_in_grpo": by_std,
        "gamma": config.gamma,
        "lam": config.lambda_critic,  # verl's gae has one lambda
        "lambda_actor": config.lambda_actor,
        "lambda_critic": config.lambda_critic,
        "length_adaptive_alpha": config.length_adaptive_alpha,
        "whiten": config.whiten_advantages,
    }
    if values is not None:
        offered["values"] = _padded(values, response_lengths, dtype)
    assert offered.keys() <= OFFERED
    advantages, returns = estimator(offered)
    return Advantages(_rows(advantages, response_lengths), _rows(returns, response_lengths))


def kl_token_rewards(
    logprobs: Sequence[Floats], ref_logprobs: Sequence[Floats], kl_coef: Sequence[float], estimator: str
) -> list[Floats]:
    """-kl_coef x KL for each token of each response: the KL to the reference policy as a part of the reward.

    ``logprobs`` are those of the policy that the advantages are for (the old one). ``estimator`` is one of verl's
    ``kl_penalty``: k1, k2, k3, abs (http://joschu.net/blog/kl-approx.html). The policy gradient of k1 is that of the
    KL; the others also push away tokens that the policy says too rarely.
    """
    import torch
    from verl.trainer.ppo.core_algos import kl_penalty

    return [
        -np.float32(coef) * kl_penalty(torch.from_numpy(own), torch.from_numpy(ref), estimator).numpy()
        for own, ref, coef in zip(logprobs, ref_logprobs, kl_coef, strict=True)
    ]


def _check_groups(name: str, group_ids: Sequence[str]) -> None:
    """The mean of a group of one is its only reward, and nothing would be learnt."""
    ids, counts = np.unique(np.asarray(group_ids), return_counts=True)
    if len(ids) and counts.min() < 2:
        raise BadInput(
            f"rl.advantage={name!r} compares responses of one prompt, but prompt {ids[counts.argmin()]} "
            "has a single judged response: raise rl.samples_per_prompt or use another estimator"
        )


def _padded(rows: Sequence[Floats], lengths: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
    import torch

    padded = torch.zeros(len(rows), max(lengths), dtype=dtype)
    for index, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        assert len(row) == length, "one number a response token"
        padded[index, :length] = torch.from_numpy(np.asarray(row))
    return padded


def _rows(matrix: torch.Tensor, lengths: Sequence[int]) -> list[Floats]:
    return [matrix[index, :length].numpy().astype(np.float32) for index, length in enumerate(lengths)]
