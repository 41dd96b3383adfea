"""The policy as DeepSpeed sees it: a micro-batch in, a log-probability for each token learnt from out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from rl.families.family import ModelFamily, VisionTensors

LOGITS_PER_CHUNK = 2**25  # float32 logits held at a time: 128 MiB


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

    def __init__(self, family: ModelFamily, model: nn.Module, forbidden_ids: tuple[int, ...]) -> None:
        super().__init__()
        self.family = family
        self.model = model
        self.register_buffer("forbidden_ids", torch.tensor(forbidden_ids, dtype=torch.long), persistent=False)

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
        return self._logprobs(
            hidden.flatten(0, 1)[batch.predictors], batch.targets, temperature, with_entropy
        )

    def _logprobs(
        self, hidden: torch.Tensor, targets: torch.Tensor, temperature: float, with_entropy: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        head = self.family.lm_head(self.model)

        def chunk(part: torch.Tensor, wanted: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            logits = head(part).float()
            logits = logits.index_fill(1, self.forbidden_ids, float("-inf")) / temperature
            logprobs = torch.log_softmax(logits, dim=-1)
            picked = logprobs.gather(1, wanted[:, None]).squeeze(1)
            if not with_entropy:
                return picked, picked.detach()
            finite = logprobs.masked_fill(torch.isneginf(logprobs), 0.0)  # 0 log 0 = 0, in the gradient too
            return picked, -(logprobs.exp() * finite).sum(-1)

        vocab_size = self.model.config.get_text_config().vocab_size
        rows = max(1, LOGITS_PER_CHUNK // vocab_size)
        if len(hidden) <= rows:
            parts = [chunk(hidden, targets)]
        else:
            parts = [
                checkpoint(chunk, part, wanted, use_reentrant=False)
                for part, wanted in zip(hidden.split(rows), targets.split(rows), strict=True)
            ]
        logprobs = torch.cat([part[0] for part in parts])
        entropy = torch.cat([part[1] for part in parts]) if with_entropy else None
        return logprobs, entropy
