"""Losses by name. The trainer hands over log-probabilities and columns; it does not know which algorithm runs.

Policy losses are verl's (``verl.trainer.ppo.core_algos.POLICY_LOSS_REGISTRY``); ``sft`` is the negative
log-likelihood, ``value`` and ``linear`` are the critic's. All are normalised by the counts of the whole optimizer
step, so neither the number of ranks nor the way a batch is cut into micro-batches changes a gradient.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rl.algorithm.advantage.estimator import PLUG_INS
from rl.algorithm.loss.importance import importance_weights
from rl.algorithm.loss.loss_options import verl_config
from rl.data.batch import Batch, StepCounts
from verifiers.errors import BadInput, near_name
from verifiers.plug_in import load_object, plug_in_path

if TYPE_CHECKING:
    import torch

SFT_LOSS = "sft"
VALUE_LOSS = "value"
LINEAR_LOSS = "linear"  # sum of coefficient x value: a gradient found elsewhere
CRITIC_LOSSES = (VALUE_LOSS, LINEAR_LOSS)
# A gradient is a multiple of the advantage and the step's counts normalise it. Not so: covariance picks among the
# tokens there are, geo_mean counts the sequences there are, dro squares the log-ratio.
SILENT_AT_ZERO = frozenset({"vanilla", "dppo_tv", "dppo_kl", "gspo", "sapo", "gpg", "cispo"})


@dataclass(frozen=True)
class LossSpec:
    """Which loss, with its numbers. ``name`` is ``sft``, ``value``, ``linear`` or one of verl's policy losses.

    positive_nll_coef: weight of the likelihood of right responses (VAPO, 2504.05118); importance: how the sampler's
    probabilities are corrected for, see ``importance_weights``; value_clip: of the critic's loss; teacher_coef,
    teacher_top_k: of KL(policy || teacher), see ``distillation.reverse_kl``; options: see ``loss_options``.
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
    teacher_coef: float = 0.0
    teacher_top_k: int | None = None
    options: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class LossInputs:
    """A micro-batch's tokens learnt from, as matrices [sequences, most of a sequence] padded on the right.

    ``columns`` are the batch's by name; ``mask`` is its loss mask, 0 at padding; ``scalars`` are [sequences];
    ``counts`` are the step's. The model gives ``logprobs`` (and ``entropy``, and ``teacher_kl`` where a teacher is
    there) for a policy's loss, ``values`` for the critic's.
    """

    mask: torch.Tensor
    columns: Mapping[str, torch.Tensor]
    scalars: Mapping[str, torch.Tensor]
    counts: StepCounts
    data_parallel: int
    logprobs: torch.Tensor | None = None
    entropy: torch.Tensor | None = None
    values: torch.Tensor | None = None
    teacher_kl: torch.Tensor | None = None

    @property
    def verl_counts(self) -> dict[str, int]:
        """The step's counts under the names that verl's ``agg_loss`` has for them."""
        return {
            "dp_size": self.data_parallel,
            "batch_num_tokens": self.counts.num_loss_tokens,
            "global_batch_size": self.counts.num_loss_sequences,
        }


def compute_loss(spec: LossSpec, inputs: LossInputs) -> tuple[torch.Tensor, dict[str, float]]:
    """The rank's share of the loss, scaled so that the mean over ranks is the global value, and metrics.

    A policy's loss is L + teacher_coef KL(policy, teacher) + positive_nll_coef NLL(right) - entropy_coef H, where L is
    the negative log-likelihood, or a policy loss of verl's + kl_coef KL(policy, reference).
    Metrics named ``*_sum`` are sums over this micro-batch's loss tokens: add them up, then divide by their number, or
    by the sum of ``*_count`` where there is one. The others are this micro-batch's share of the step's figure.
    """
    if spec.name in CRITIC_LOSSES:
        return _critic_loss(spec, inputs)
    logprobs, mask = inputs.logprobs, inputs.mask
    assert logprobs is not None
    metrics = {"nll_sum": _sum(-logprobs, mask)}
    if spec.name == SFT_LOSS:
        loss = _aggregated(-logprobs, spec, inputs)
    else:
        loss, policy_metrics = _policy_loss(spec, inputs, logprobs)
        metrics |= policy_metrics
    if inputs.teacher_kl is not None:
        loss = loss + spec.teacher_coef * _aggregated(inputs.teacher_kl, spec, inputs)
        metrics["teacher_kl_sum"] = _sum(inputs.teacher_kl, mask)
    if spec.positive_nll_coef:
        nll = _positive_nll(logprobs, inputs)
        loss = loss + spec.positive_nll_coef * nll
        metrics["positive_nll"] = float(nll.detach()) / inputs.data_parallel
    if spec.entropy_coef:
        assert inputs.entropy is not None
        loss = loss - spec.entropy_coef * _aggregated(inputs.entropy, spec, inputs)
    if inputs.entropy is not None:
        metrics["entropy_sum"] = _sum(inputs.entropy, mask)
    return loss, metrics


def policy_loss_function(name: str) -> Any:
    """(old_log_prob, log_prob, advantages, response_mask, loss_agg_mode, config, rollout_is_weights) -> (the rank's
    share of the loss, metrics), as verl's ``register_policy_loss`` has it; matrices are [sequences, longest response].

    Raises: BadInput for a name that neither verl nor an entry point of ``hone.algorithms`` has.
    """
    from verl.trainer.ppo.core_algos import POLICY_LOSS_REGISTRY

    if name in POLICY_LOSS_REGISTRY:
        return POLICY_LOSS_REGISTRY[name]
    path = plug_in_path(PLUG_INS, name)
    if path is not None:
        return load_object(path, f"rl.loss.policy_loss={name!r}")
    known = sorted(POLICY_LOSS_REGISTRY)
    raise BadInput(
        f"rl.loss.policy_loss={name!r} is unknown{near_name(name, known)} (known: {', '.join(known)}; or "
        "package.module:function)"
    )


def has_signal(spec: LossSpec, batch: Batch) -> npt.NDArray[np.bool_]:
    """[n]: which sequences move the policy. The gradient of the others is exactly 0: no token has an advantage, and no
    KL, entropy or likelihood counts. All, for a loss that is not known to be silent there."""
    if spec.name not in SILENT_AT_ZERO or spec.entropy_coef or spec.teacher_coef:
        return np.ones(len(batch), bool)
    signal = np.array([row.any() for row in batch.rows(batch.column("advantages"))], bool)
    signal |= batch.scalars.get("kl_coef", np.zeros(len(batch))) != 0
    if spec.positive_nll_coef:
        signal |= batch.scalars["is_right"] > 0
    return signal


def _critic_loss(spec: LossSpec, inputs: LossInputs) -> tuple[torch.Tensor, dict[str, float]]:
    values, columns = inputs.values, inputs.columns
    assert values is not None
    if spec.name == LINEAR_LOSS:
        return linear_loss(values, columns["coefficients"], inputs.mask, inputs.data_parallel), {}
    old_values = None if spec.value_clip is None else columns["old_values"]
    return value_loss(
        values, old_values, columns["returns"], inputs.mask, spec.value_clip, inputs.verl_counts
    )


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
    clipped = mask.new_zeros(mask.shape)
    if clip is not None:
        assert old_values is not None
        near_old = values.clamp(old_values - clip, old_values + clip)
        clipped_squares = (near_old - returns) ** 2
        clipped = (clipped_squares > squares).to(mask.dtype)
        squares = squares.maximum(clipped_squares)
    wide, error = returns.double(), (returns - values).double()
    metrics = {
        "value_clip_frac_sum": _sum(clipped.double(), mask),
        "value_sum": _sum(values.double(), mask),
        "return_sum": _sum(wide, mask),
        "return_squared_sum": _sum(wide**2, mask),
        "value_error_sum": _sum(error, mask),
        "value_error_squared_sum": _sum(error**2, mask),
    }
    return 0.5 * agg_loss(squares, mask, "token-mean", **counts), metrics


def linear_loss(
    values: torch.Tensor, coefficients: torch.Tensor, mask: torch.Tensor, data_parallel: int
) -> torch.Tensor:
    """Sum of coefficient x value over the optimizer step: carries a gradient that was found outside the trainer, such
    as ``preference_loss.score_gradients``. Scaled so that the mean over ranks is the sum."""
    return (values * coefficients * mask).sum() * data_parallel


def explained_variance(means: Mapping[str, float]) -> float:
    """1 - Var(R - V) / Var(R) from the step's means of ``value_loss``'s metrics; 0 where all returns are alike."""
    error = means["value_error_squared"] - means["value_error"] ** 2
    whole = means["return_squared"] - means["return"] ** 2
    return 1.0 - error / whole if whole > 1e-12 else 0.0


def _policy_loss(
    spec: LossSpec, inputs: LossInputs, logprobs: torch.Tensor
) -> tuple[torch.Tensor, dict[str, float]]:
    """The loss of that name on the advantages, each token by its importance weight where the recipe asks for one, and
    the KL to a reference. Without a column ``old_logprobs`` the old policy is the one that computes: no weight has
    moved since it sampled."""
    columns, weights, metrics = inputs.columns, None, dict[str, float]()
    old = columns.get("old_logprobs", logprobs.detach())
    if spec.importance != "none":
        weights, outside = importance_weights(
            old, columns["sample_logprobs"], spec.importance, spec.importance_cap
        )
        metrics["importance_weight_sum"] = _sum(weights, inputs.mask)
        metrics["importance_outside_frac_sum"] = _sum(outside, inputs.mask)
    loss, means = policy_loss_function(spec.name)(
        old,
        logprobs,
        columns["advantages"],
        inputs.mask,
        spec.aggregation,
        _actor_config(spec, inputs),
        weights,
    )
    num_tokens = float(inputs.mask.sum())
    sums = {f"{name.removeprefix('actor/')}_sum": float(mean) * num_tokens for name, mean in means.items()}
    metrics |= sums
    if "ref_logprobs" in columns:
        from verl.trainer.ppo.core_algos import kl_penalty  # see http://joschu.net/blog/kl-approx.html

        coef = inputs.scalars["kl_coef"][:, None]  # without one the reference may not have been asked
        ref = columns["ref_logprobs"].where(coef != 0, logprobs.detach())
        kl = kl_penalty(logprobs, ref, spec.kl_estimator)
        loss = loss + _aggregated(kl * coef, spec, inputs)
        held = inputs.mask * (coef != 0)
        metrics |= {"ref_kl_sum": _sum(kl, held), "ref_kl_count": float(held.sum())}
    return loss, metrics


def _positive_nll(logprobs: torch.Tensor, inputs: LossInputs) -> torch.Tensor:
    """-log pi averaged over the tokens of the step's right responses (VAPO, 2504.05118); 0 without any."""
    right_mask = inputs.mask * inputs.scalars["is_right"][:, None]
    return -(logprobs * right_mask).sum() / max(1, inputs.counts.num_right_tokens) * inputs.data_parallel


def _aggregated(matrix: torch.Tensor, spec: LossSpec, inputs: LossInputs) -> torch.Tensor:
    """One number of a [sequences, tokens] matrix, by the recipe's rule (token mean, mean of sequences)."""
    from verl.trainer.ppo.core_algos import agg_loss

    loss: torch.Tensor = agg_loss(matrix, inputs.mask, spec.aggregation, **inputs.verl_counts)
    return loss


def _actor_config(spec: LossSpec, inputs: LossInputs) -> Any:
    """verl's actor section with the numbers of the recipe and the step's counts."""
    options = tuple(sorted(spec.options.items()))
    config = verl_config(spec.clip_low, spec.clip_high, spec.aggregation, options)
    config.global_batch_info.clear()
    config.global_batch_info.update(inputs.verl_counts)
    return config


def _sum(values: torch.Tensor, mask: torch.Tensor) -> float:
    return float((values.detach() * mask).sum())
