"""Advantages by name, from verl's registry, over rewards of whole responses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rl.algorithm.algorithm import GROUP_RELATIVE, NEEDS_CRITIC
from rl.data.batch import Floats
from rl.recipe.rl_config import RlConfig
from verifiers.errors import BadInput

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
class Advantages:
    """For each response its advantages and its returns (what a critic learns), [its length] each."""

    advantages: list[Floats]
    returns: list[Floats]


@dataclass(frozen=True)
class GaeSettings:
    """Numbers of generalized advantage estimation; see ``rl.algorithm.gae``. verl's ``gae`` has one lambda."""

    gamma: float = 1.0
    lambda_actor: float | str = 1.0
    lambda_critic: float = 1.0
    length_adaptive_alpha: float = 0.05
    whiten: bool = True

    @classmethod
    def of(cls, config: RlConfig) -> GaeSettings:
        """Those of a recipe's ``rl`` section."""
        return cls(
            gamma=config.gamma,
            lambda_actor=config.lambda_actor,
            lambda_critic=config.lambda_critic,
            length_adaptive_alpha=config.length_adaptive_alpha,
            whiten=config.whiten_advantages,
        )

    def arguments(self, name: str) -> dict[str, Any]:
        """As the estimator ``name`` calls them."""
        if name == "gae":
            assert self.lambda_actor == self.lambda_critic and self.whiten, "verl's gae knows nothing else"
            return {"gamma": self.gamma, "lam": self.lambda_critic}
        return {
            "gamma": self.gamma,
            "lambda_actor": self.lambda_actor,
            "lambda_critic": self.lambda_critic,
            "length_adaptive_alpha": self.length_adaptive_alpha,
            "whiten": self.whiten,
        }


def compute_advantages(
    name: str,
    rewards: Sequence[float],
    group_ids: Sequence[str],
    response_lengths: Sequence[int],
    *,
    normalize_by_std: bool = True,
    values: Sequence[Floats] | None = None,
    token_rewards: Sequence[Floats] | None = None,
    gae: GaeSettings | None = None,
) -> Advantages:
    """The estimator ``name`` of verl's registry over responses whose reward falls on their last token.

    ``group_ids`` says which responses belong to one prompt. GRPO: (r - mean) / (std + 1e-6) within the group, with the
    unbiased std (DeepSeekMath, 2402.03300, section 4.1.2; verl ``compute_grpo_outcome_advantage``).

    ``values``: the critic's, [its length] for each response, V(s_t) at token t. ``token_rewards``: what is added to
    each token's reward, such as a KL penalty.

    Raises: BadInput for an unknown name, a group of one where the baseline is the group's mean, or no ``values`` where
    the estimator takes a critic's.
    """
    import torch

    estimator = _estimator(name)
    gae = gae or GaeSettings()
    if name in GROUP_RELATIVE:
        _check_groups(name, group_ids)
    arguments: dict[str, Any]
    if name in NEEDS_CRITIC:
        if values is None:
            raise BadInput(f"rl.advantage={name!r} needs a critic's values, and there is no critic")
        dtype = torch.float64  # sums over a whole response
        arguments = {"values": _padded(values, response_lengths, dtype), **gae.arguments(name)}
    else:
        dtype = torch.float32
        arguments = _outcome_arguments(name, group_ids, gae.gamma, normalize_by_std)
    advantages, returns = estimator(
        token_level_rewards=_rewards_at_tokens(rewards, token_rewards, response_lengths, dtype),
        response_mask=_response_mask(response_lengths, dtype),
        **arguments,
    )
    return Advantages(_rows(advantages, response_lengths), _rows(returns, response_lengths))


def kl_token_rewards(
    logprobs: Sequence[Floats], ref_logprobs: Sequence[Floats], kl_coef: Sequence[float], estimator: str
) -> list[Floats]:
    """-kl_coef x KL for each token of each response: the KL to the reference policy as a part of the reward.

    ``logprobs`` are those of the policy that the advantages are for (the old one). ``estimator`` is one of verl's
    ``kl_penalty``: k1, k2, k3, abs (http://joschu.net/blog/kl-approx.html).
    """
    import torch
    from verl.trainer.ppo.core_algos import kl_penalty

    return [
        -np.float32(coef) * kl_penalty(torch.from_numpy(own), torch.from_numpy(ref), estimator).numpy()
        for own, ref, coef in zip(logprobs, ref_logprobs, kl_coef, strict=True)
    ]


def _estimator(name: str) -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
    from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY

    import rl.algorithm.gae  # noqa: F401  it registers itself

    if name not in ADV_ESTIMATOR_REGISTRY:
        raise BadInput(
            f"rl.advantage={name!r} is unknown; verl has {', '.join(sorted(ADV_ESTIMATOR_REGISTRY))}"
        )
    estimator: Callable[..., tuple[torch.Tensor, torch.Tensor]] = ADV_ESTIMATOR_REGISTRY[name]
    return estimator


def _check_groups(name: str, group_ids: Sequence[str]) -> None:
    """The mean of a group of one is its only reward, and nothing would be learnt."""
    ids, counts = np.unique(np.asarray(group_ids), return_counts=True)
    if len(ids) and counts.min() < 2:
        raise BadInput(
            f"rl.advantage={name!r} compares responses of one prompt, but prompt {ids[counts.argmin()]} "
            "has a single judged response: raise rl.samples_per_prompt or use another estimator"
        )


def _outcome_arguments(
    name: str, group_ids: Sequence[str], gamma: float, normalize_by_std: bool
) -> dict[str, Any]:
    """What verl's estimators without a critic are called with; GRPO's normalization is an argument of its own too."""
    from verl.trainer.config import AlgoConfig

    config = AlgoConfig(adv_estimator=name, gamma=gamma, norm_adv_by_std_in_grpo=normalize_by_std)
    of_grpo = {"norm_adv_by_std_in_grpo": normalize_by_std} if name == "grpo" else {}
    return {"index": np.asarray(group_ids, dtype=object), "config": config, **of_grpo}


def _rewards_at_tokens(
    rewards: Sequence[float],
    token_rewards: Sequence[Floats] | None,
    lengths: Sequence[int],
    dtype: torch.dtype,
) -> torch.Tensor:
    """``token_rewards`` plus each response's reward on its last token, [responses, longest response]."""
    import torch

    if token_rewards is None:
        at_tokens = torch.zeros(len(lengths), max(lengths), dtype=dtype)
    else:
        at_tokens = _padded(token_rewards, lengths, dtype)
    at_tokens[torch.arange(len(lengths)), torch.tensor(lengths) - 1] += torch.tensor(rewards, dtype=dtype)
    return at_tokens


def _response_mask(lengths: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
    """1 at a response's tokens and 0 behind them, [responses, longest response]."""
    import torch

    return (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).to(dtype)


def _padded(rows: Sequence[Floats], lengths: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
    import torch

    padded = torch.zeros(len(rows), max(lengths), dtype=dtype)
    for index, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        assert len(row) == length, "one number a response token"
        padded[index, :length] = torch.from_numpy(np.asarray(row))
    return padded


def _rows(matrix: torch.Tensor, lengths: Sequence[int]) -> list[Floats]:
    return [matrix[index, :length].numpy().astype(np.float32) for index, length in enumerate(lengths)]
