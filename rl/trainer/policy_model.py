"""The policy as DeepSpeed sees it: a micro-batch in, a log-probability for each token learnt from out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.functional import linear

from rl.families.family import ModelFamily, VisionTensors

LOGITS_PER_CHUNK = 2**25  # float32 logits held at a time: 128 MiB

Columns = tuple[torch.Tensor, ...]  # [rows] each
Compute = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], Columns]


@dataclass(frozen=True, eq=False)
class MicroBatch:
    """One forward pass of a rank, all tensors on its device.

    input_ids: [B, T] (packed layout: B = 1); position_ids: [1 + axes, B, T], text positions first;
    predictors: [R] flat indices in B x T whose output predicts a token learnt from; targets: [R] those tokens;
    vision, vision_rows: see ``ModelFamily``; None where there are no pictures;
    rows, columns: [R] where each of those goes in a matrix [sequences, most of a sequence].
    """

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    predictors: torch.Tensor
    targets: torch.Tensor
    rows: torch.Tensor
    columns: torch.Tensor
    shape: tuple[int, int]
    vision: VisionTensors | None = None
    vision_rows: torch.Tensor | None = None

    def matrix(self, flat: torch.Tensor) -> torch.Tensor:
        """A column [R] as a right-padded matrix [sequences, most of a sequence]."""
        return flat.new_zeros(self.shape).index_put((self.rows, self.columns), flat)


class PolicyModel(nn.Module):
    """Wraps a family's model so that the whole step, vision tower to log-probabilities, is one ``forward``.

    Logits are computed for tokens learnt from only, in float32, over the tokens a policy may sample: ``forbidden_ids``
    are masked out exactly as in the sampler, and the temperature divides before normalising.
    """

    def __init__(
        self,
        family: ModelFamily,
        model: nn.Module,
        forbidden_ids: tuple[int, ...],
        *,
        float32_head: bool = False,
    ) -> None:
        super().__init__()
        self.family = family
        self.model = model
        self.head = LogprobHead(family.lm_head(model), forbidden_ids, in_float32=float32_head)

    def forward(
        self, batch: MicroBatch, temperature: float = 1.0, with_entropy: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Log-probabilities [R] of the targets, and the entropy [R] (nats) of the distribution they were drawn from."""
        vision: Any = None
        if batch.vision is not None:
            vision = self.family.vision_features(self.model, batch.vision)
        hidden = self.family.hidden_states(
            self.model, batch.input_ids, batch.position_ids, vision, batch.vision_rows
        )
        picked = hidden.flatten(0, 1)[batch.predictors]
        logprobs, entropy = self.head(picked, batch.targets, temperature, with_entropy)
        return logprobs, entropy


class LogprobHead(nn.Module):
    """Log-probabilities of targets under hidden states, and the entropies of the distributions.

    One call a micro-batch: under ZeRO-3 a module's weight is gathered by all ranks together, so a module that is called
    once a chunk makes ranks with fewer tokens wait for ever. The weight is the model's own, and the checkpoint's under
    the model's name alone. ``in_float32`` multiplies in float32 whatever the weights are in; what comes after is in
    float32 anyway (float64 stays).
    """

    def __init__(
        self, lm_head: nn.Linear, forbidden_ids: tuple[int, ...], *, in_float32: bool = False
    ) -> None:
        super().__init__()
        assert lm_head.bias is None, "a head is a matrix"
        self.weight = lm_head.weight
        self.in_float32 = in_float32
        self.register_buffer("forbidden_ids", torch.tensor(forbidden_ids, dtype=torch.long), persistent=False)

    def forward(
        self, hidden: torch.Tensor, targets: torch.Tensor, temperature: float, with_entropy: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """hidden: [R, hidden]; targets: [R]; both results [R]."""
        weight = self.weight
        if self.in_float32:
            weight = weight.to(torch.promote_types(weight.dtype, torch.float32))
        compute = partial(
            _columns, forbidden=self.forbidden_ids, temperature=temperature, with_entropy=with_entropy
        )
        hidden, rows = hidden.to(weight.dtype), max(1, LOGITS_PER_CHUNK // len(weight))
        if len(hidden) <= rows:  # nothing is saved by computing it twice
            logprobs, *entropy = compute(hidden, weight, targets)
        else:
            logprobs, *entropy = _InChunks.apply(hidden, weight, targets, compute, rows)
        return logprobs, entropy[0] if with_entropy else None

    def _save_to_state_dict(self, *_: Any) -> None:
        """Nothing: the model saves the weight."""

    def _load_from_state_dict(self, *_: Any) -> None:
        """Nothing, likewise."""


def _columns(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    targets: torch.Tensor,
    *,
    forbidden: torch.Tensor,
    temperature: float,
    with_entropy: bool,
) -> Columns:
    """Log-probabilities of the targets, and entropies (nats) where asked for, over the tokens that are allowed."""
    logits = linear(hidden, weight)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    logits = logits.index_fill(1, forbidden, float("-inf")) / temperature
    logprobs = torch.log_softmax(logits, dim=-1)
    picked = logprobs.gather(1, targets[:, None]).squeeze(1)
    if not with_entropy:
        return (picked,)
    finite = logprobs.masked_fill(torch.isneginf(logprobs), 0.0)  # 0 log 0 = 0, in the gradient too
    return picked, -(logprobs.exp() * finite).sum(-1)


class _InChunks(torch.autograd.Function):
    """``compute`` over ``rows`` at a time, and again in the backward pass; the weight's gradient adds up in float32."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        targets: torch.Tensor,
        compute: Compute,
        rows: int,
    ) -> Columns:
        ctx.save_for_backward(hidden, weight, targets)
        ctx.compute, ctx.rows = compute, rows
        parts = [
            compute(part, weight, wanted)
            for part, wanted in zip(hidden.split(rows), targets.split(rows), strict=True)
        ]
        return tuple(torch.cat(column) for column in zip(*parts, strict=True))

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        hidden, weight, targets = ctx.saved_tensors
        of_weight = torch.zeros_like(weight, dtype=torch.promote_types(weight.dtype, torch.float32))
        of_hidden = []
        columns = [column.split(ctx.rows) for column in (targets, *gradients)]
        for part, wanted, *given in zip(hidden.split(ctx.rows), *columns, strict=True):
            with torch.enable_grad():
                inputs = part.detach().requires_grad_(), weight.detach().requires_grad_()
                outputs = ctx.compute(*inputs, wanted)
            of_part, added = torch.autograd.grad(outputs, inputs, given)
            of_hidden.append(of_part)
            of_weight += added
        return torch.cat(of_hidden), of_weight.to(weight.dtype), None, None, None
