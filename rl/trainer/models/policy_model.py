"""The policy as DeepSpeed sees it: a micro-batch in, a log-probability for each token learnt from out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.functional import linear

from rl.algorithm.distillation import reverse_kl
from rl.families.family import ModelFamily, VisionTensors

LOGITS_PER_CHUNK = 2**25  # float32 logits held at a time: 128 MiB

Columns = tuple[torch.Tensor, ...]  # [rows] each
Compute = Callable[..., Columns]  # of hidden states, weight, and what else there is of each row


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


@dataclass(frozen=True, eq=False)
class TeacherStates:
    """What a teacher predicts a micro-batch's tokens from: ``hidden`` [R, hidden], and its head's ``weight``
    [vocabulary, hidden]. Its distributions, [R, vocabulary], are made a chunk at a time and never kept. ``top_k``: see
    ``reverse_kl``."""

    hidden: torch.Tensor
    weight: torch.Tensor
    top_k: int | None


class PolicyOutput(NamedTuple):
    """Of the tokens learnt from, [R] each: log-probabilities, and where asked for the entropy of the distribution that
    each was drawn from and its KL to the teacher's, in nats."""

    logprobs: torch.Tensor
    entropy: torch.Tensor | None
    teacher_kl: torch.Tensor | None


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
        self,
        batch: MicroBatch,
        temperature: float = 1.0,
        with_entropy: bool = False,
        teacher: TeacherStates | None = None,
        *,
        states_alone: bool = False,
    ) -> PolicyOutput | torch.Tensor:
        """The targets' log-probabilities, and what else is asked for; or only the hidden states [R, hidden] that
        predict them, which is what a teacher is asked for."""
        states = self._states(batch)
        if states_alone:
            return states
        output: PolicyOutput = self.head(states, batch.targets, temperature, with_entropy, teacher)
        return output

    def load_head(self, _: Path) -> None:
        """Nothing: its head is the model's own."""

    def _states(self, batch: MicroBatch) -> torch.Tensor:
        vision: Any = None
        if batch.vision is not None:
            vision = self.family.vision_features(self.model, batch.vision)
        hidden = self.family.hidden_states(
            self.model, batch.input_ids, batch.position_ids, vision, batch.vision_rows
        )
        return hidden.flatten(0, 1)[batch.predictors]


class LogprobHead(nn.Module):
    """Log-probabilities of targets under hidden states, the distributions' entropies and their KL to a teacher's.

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

    @property
    def multiplied(self) -> torch.Tensor:
        """The weight in the dtype that it is multiplied in."""
        if not self.in_float32:
            return self.weight
        return self.weight.to(torch.promote_types(self.weight.dtype, torch.float32))

    def forward(
        self,
        hidden: torch.Tensor,
        targets: torch.Tensor,
        temperature: float,
        with_entropy: bool,
        teacher: TeacherStates | None = None,
    ) -> PolicyOutput:
        """hidden: [R, hidden]; targets: [R]."""
        weight, of_rows, num_logits = self.multiplied, [targets], len(self.weight)
        if teacher is not None:
            of_rows.append(teacher.hidden.to(teacher.weight.dtype))
            num_logits += len(teacher.weight)
        compute = partial(
            _columns,
            forbidden=self.forbidden_ids,
            temperature=temperature,
            with_entropy=with_entropy,
            teacher=teacher,
        )
        hidden, rows = hidden.to(weight.dtype), max(1, LOGITS_PER_CHUNK // num_logits)
        if len(hidden) <= rows:  # nothing is saved by computing it twice
            columns = compute(hidden, weight, *of_rows)
        else:
            columns = _InChunks.apply(hidden, weight, compute, rows, *of_rows)
        entropy, teacher_kl = columns[1] if with_entropy else None, columns[-1] if teacher else None
        return PolicyOutput(columns[0], entropy, teacher_kl)

    def _save_to_state_dict(self, *_: Any) -> None:
        """Nothing: the model saves the weight."""

    def _load_from_state_dict(self, *_: Any) -> None:
        """Nothing, likewise."""


def _columns(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    targets: torch.Tensor,
    teacher_hidden: torch.Tensor | None = None,
    *,
    forbidden: torch.Tensor,
    temperature: float,
    with_entropy: bool,
    teacher: TeacherStates | None = None,
) -> Columns:
    """Log-probabilities of the targets; where asked for entropies, and the KL to the teacher (nats), over the tokens
    that are allowed."""
    logprobs = _distributions(hidden, weight, forbidden, temperature)
    columns = [logprobs.gather(1, targets[:, None]).squeeze(1)]
    if with_entropy:
        finite = logprobs.masked_fill(torch.isneginf(logprobs), 0.0)  # 0 log 0 = 0, in the gradient too
        columns.append(-(logprobs.exp() * finite).sum(-1))
    if teacher is not None and teacher_hidden is not None:
        of_teacher = _distributions(teacher_hidden, teacher.weight, forbidden, temperature)
        columns.append(reverse_kl(logprobs, of_teacher.detach(), teacher.top_k))
    return tuple(columns)


def _distributions(
    hidden: torch.Tensor, weight: torch.Tensor, forbidden: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Log-probabilities [R, vocabulary], -inf where forbidden."""
    logits = linear(hidden, weight)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return torch.log_softmax(logits.index_fill(1, forbidden, float("-inf")) / temperature, dim=-1)


class _InChunks(torch.autograd.Function):
    """``compute`` over ``rows`` at a time, and again in the backward pass; the weight's gradient adds up in float32."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        compute: Compute,
        rows: int,
        *of_rows: torch.Tensor,
    ) -> Columns:
        ctx.save_for_backward(hidden, weight, *of_rows)
        ctx.compute, ctx.rows = compute, rows
        cut = [each.split(rows) for each in of_rows]
        parts = [
            compute(part, weight, *others) for part, *others in zip(hidden.split(rows), *cut, strict=True)
        ]
        return tuple(torch.cat(column) for column in zip(*parts, strict=True))

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        hidden, weight, *of_rows = ctx.saved_tensors
        of_weight = torch.zeros_like(weight, dtype=torch.promote_types(weight.dtype, torch.float32))
        of_hidden = []
        columns = [column.split(ctx.rows) for column in (*of_rows, *gradients)]
        for part, *others in zip(hidden.split(ctx.rows), *columns, strict=True):
            with torch.enable_grad():
                inputs = part.detach().requires_grad_(), weight.detach().requires_grad_()
                outputs = ctx.compute(*inputs, *others[: len(of_rows)])
            of_part, added = torch.autograd.grad(outputs, inputs, others[len(of_rows) :])
            of_hidden.append(of_part)
            of_weight += added
        return torch.cat(of_hidden), of_weight.to(weight.dtype), None, None, *(None for _ in of_rows)
