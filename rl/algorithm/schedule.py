"""The learning rate of a step."""

from __future__ import annotations

import math


def learning_rate(step: int, *, num_steps: int, lr: float, min_lr: float, warmup_frac: float) -> float:
    """Linear warm-up over the first ``warmup_frac`` of the steps, then half a cosine from ``lr`` to ``min_lr``.

    ``step`` counts from 0 and is always below ``num_steps``; the first step already moves (no rate of 0).
    """
    warmup = round(warmup_frac * num_steps)
    if step < warmup:
        return lr * (step + 1) / warmup
    progress = (step - warmup) / max(1, num_steps - warmup)
    return min_lr + (lr - min_lr) * 0.5 * (1 + math.cos(math.pi * progress))
