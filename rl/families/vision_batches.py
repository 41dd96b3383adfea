"""transformers' vision tower of the Qwen family without its work per picture: the same bits, in fewer calls.

It attends picture by picture, and makes the tables of positions anew for each. On a batch of small pictures that is
half of the tower's time.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

# With "flash" in its name transformers hands an implementation all pictures at once, and where each begins.
NAME = "not_flash_but_in_batches"


def attend_in_batches(visual: Any) -> None:
    """Make a tower that would attend by sdpa do so for all pictures of one size in one call."""
    from transformers import AttentionInterface

    if visual.config._attn_implementation == "sdpa":
        AttentionInterface.register(NAME, _attention)
        visual.config._attn_implementation = NAME


def _attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: None,
    *,
    scaling: float,
    dropout: float,
    cu_seq_lens_q: torch.Tensor,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Of [1, heads, patches, size] each, what comes out is [1, patches, heads, size]."""
    lengths = cu_seq_lens_q.diff()
    output = query.new_empty(query.shape[2], query.shape[1], query.shape[3])
    for length in lengths.unique().tolist():
        own = torch.repeat_interleave(lengths == length, lengths).nonzero().squeeze(1)
        q, k, v = (
            whole[0].index_select(1, own).unflatten(1, (-1, length)).transpose(0, 1)
            for whole in (query, key, value)
        )
        attended = scaled_dot_product_attention(q, k, v, dropout_p=dropout, scale=scaling)
        output = output.index_copy(0, own, attended.transpose(1, 2).flatten(0, 1))
    return output[None], None


def position_tables(grid_thw: torch.Tensor, *, side: int, merge_size: int) -> dict[str, torch.Tensor]:
    """What the tower's forward takes ready made: for each patch where it stands, and of what the learnt table is
    interpolated there."""
    indices, weights, positions = zip(
        *(_tables(tuple(grid), side, merge_size) for grid in grid_thw.tolist()), strict=True
    )
    device = grid_thw.device
    return {
        "bilinear_indices": torch.cat(indices, 1).to(device),
        "bilinear_weights": torch.cat(weights, 1).to(device),
        "position_ids": torch.cat(positions).to(device),
    }


@lru_cache(maxsize=256)
def _tables(
    grid: tuple[int, ...], side: int, merge_size: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    from transformers.vision_utils import get_vision_bilinear_indices_and_weights, get_vision_position_ids

    one = torch.tensor([grid])
    indices, weights = get_vision_bilinear_indices_and_weights(one, side, merge_size)
    return indices, weights, get_vision_position_ids(one, merge_size)
