"""The critic's losses, and how much of the returns its values explain."""

from __future__ import annotations

from collections.abc import Mapping

import torch


def value_loss(
    values: torch.Tensor,
    old_values: torch.Tensor | None,
    returns: torch.Tensor,
    mask: torch.Tensor,
    clip: float | None,
    counts: Mapping[str, int],
) -> tuple[torch.Tensor, dict[str, float]]:
    """0.5 max((V - R)^2, (clamp(V, V_old - clip, V_old + clip) - R)^2), token mean over the optimizer step.

    Matrices are [sequences, tokens]; without ``clip`` the first square alone; ``counts`` are those of verl's
    ``agg_loss``. Metrics are sums over the micro-batch's loss tokens, of which ``explained_variance`` takes the means.
    """
    from verl.trainer.ppo.core_algos import agg_loss

    squares = (values - returns) ** 2
    clipped = torch.zeros_like(mask)
    if clip is not None:
        assert old_values is not None
        near_old = torch.clamp(values, old_values - clip, old_values + clip)
        clipped_squares = (near_old - returns) ** 2
        clipped = (clipped_squares > squares).to(mask.dtype)
        squares = torch.maximum(squares, clipped_squares)
    error = (returns - values).detach()
    metrics = {
        "value_clip_frac_sum": _sum(clipped, mask),
        "value_sum": _sum(values.detach(), mask),
        "return_sum": _sum(returns, mask),
        "return_squared_sum": _sum(returns.double() ** 2, mask),
        "value_error_sum": _sum(error, mask),
        "value_error_squared_sum": _sum(error.double() ** 2, mask),
    }
    return 0.5 * agg_loss(squares, mask, "token-mean", **counts), metrics


def linear_loss(
    values: torch.Tensor, coefficients: torch.Tensor, mask: torch.Tensor, data_parallel: int
) -> torch.Tensor:
    """Sum of coefficient x value over the optimizer step: carries a gradient that was found outside the trainer, such
    as ``bradley_terry.score_gradients``. Scaled so that the mean over ranks is the sum."""
    return (values * coefficients * mask).sum() * data_parallel


def explained_variance(means: Mapping[str, float]) -> float:
    """1 - Var(R - V) / Var(R) from the step's means of ``value_loss``'s metrics; 0 where all returns are alike."""
    error = means["value_error_squared"] - means["value_error"] ** 2
    whole = means["return_squared"] - means["return"] ** 2
    return 1.0 - error / whole if whole > 1e-12 else 0.0


def _sum(values: torch.Tensor, mask: torch.Tensor) -> float:
    return float((values.double() * mask).sum())
