"""Attention over rows of several sequences by torch's own flash kernels, as an attention that transformers can name."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.attention.varlen import varlen_attn

NAME = "torch_varlen"


def varlen_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    position_ids: torch.Tensor,
    scaling: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Causal, and each token sees its own sequence alone: one begins wherever ``position_ids`` [B, T] is 0.

    query: [B, heads, T, dim]; key, value: [B, key heads, T, dim]; the result [B, T, heads, dim]. No [T, T] mask.
    torch has the kernel for CUDA, in half precision and bfloat16; flash-attn, which does the same, is no package of
    the lock, since it must be compiled with nvcc.
    """
    batch, _, length, _ = query.shape
    flat = [one.transpose(1, 2).flatten(0, 1) for one in (query, key, value)]
    starts = (position_ids.flatten() == 0).nonzero()[:, 0].int()
    bounds = torch.cat([starts, starts.new_tensor([batch * length])])
    longest = int(bounds.diff().max())
    mixed = varlen_attn(
        *flat, bounds, bounds, longest, longest, scale=scaling, window_size=(-1, 0), enable_gqa=True
    )
    return mixed.unflatten(0, (batch, length)), None


def register() -> None:
    """Make transformers know it by ``NAME``; harmless when it does."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, varlen_attention)
