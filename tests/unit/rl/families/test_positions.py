"""Rotary positions against transformers' ``get_rope_index``, for random mixtures of text, pictures and videos."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rl.families.qwen3_vl_moe import Patches


def shown(grids: list[tuple[int, ...]]) -> Patches | None:
    return Patches(torch.zeros(0), torch.tensor(grids), 2) if grids else None


sides = st.integers(1, 6).map(lambda n: 2 * n)
grids = st.tuples(st.just("image"), st.just(1), sides, sides)
films = st.tuples(st.just("video"), st.integers(1, 4), sides, sides)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(st.one_of(st.integers(1, 12), grids, films), min_size=1, max_size=8))
def test_equal_to_transformers(tiny: Any, pieces: list[Any]) -> None:
    """Text runs of any length between pictures of any grid; each picture in its frame of start and end tokens, each
    temporal patch of a video likewise, behind a text that stands for its time."""
    config = tiny.model.config
    tokens: list[int] = []
    found: dict[str, list[tuple[int, int, int]]] = {"image": [], "video": []}
    for piece in pieces:
        if isinstance(piece, int):
            tokens += [9] * piece
            continue
        kind, num_frames, height, width = piece
        found[kind].append((num_frames, height, width))
        placeholder = config.image_token_id if kind == "image" else config.video_token_id
        run = [
            config.vision_start_token_id,
            *[placeholder] * (height * width // 4),
            config.vision_end_token_id,
        ]
        tokens += run if kind == "image" else [9, 9, 9, *run] * num_frames
    runs = [(1, *piece[2:]) for piece in pieces if not isinstance(piece, int) for _ in range(piece[1])]
    ids = torch.tensor(tokens)[None]
    wanted, _ = tiny.model.model.get_rope_index(
        ids,
        mm_token_type_ids=(ids == config.image_token_id).int() + 2 * (ids == config.video_token_id).int(),
        image_grid_thw=torch.tensor(found["image"]) if found["image"] else None,
        video_grid_thw=torch.tensor(found["video"]) if found["video"] else None,
        attention_mask=torch.ones_like(ids),
    )
    got = tiny.family.positions(
        np.array(tokens), shown(runs), placeholder_ids=tiny.family.placeholder_ids(config)
    )
    np.testing.assert_array_equal(got, wanted[:, 0].numpy())


def test_by_hand(tiny: Any) -> None:
    """Two text tokens, a picture of 2 x 3 merged tokens, one text token."""
    got = tiny.family.positions(
        np.array([1, 1, 7, 7, 7, 7, 7, 7, 1]), shown([(1, 4, 6)]), placeholder_ids=[7]
    )
    assert got.tolist() == [
        [0, 1, 2, 2, 2, 2, 2, 2, 5],
        [0, 1, 2, 2, 2, 3, 3, 3, 5],
        [0, 1, 2, 3, 4, 2, 3, 4, 5],
    ]


@pytest.mark.parametrize(("tokens", "found"), [([1, 7, 7, 1], [(1, 4, 4)]), ([1, 7, 1], [])])
def test_placeholders_and_grids_must_agree(
    tiny: Any, tokens: list[int], found: list[tuple[int, int, int]]
) -> None:
    with pytest.raises(AssertionError, match="placeholder"):
        tiny.family.positions(np.array(tokens), shown(found), placeholder_ids=[7])
