"""Rotary positions against transformers' ``get_rope_index``, for random mixtures of text and pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

grids = st.tuples(st.just(1), st.integers(1, 6).map(lambda n: 2 * n), st.integers(1, 6).map(lambda n: 2 * n))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(st.one_of(st.integers(1, 12), grids), min_size=1, max_size=8))
def test_equal_to_transformers(tiny: Any, pieces: list[Any]) -> None:
    """Text runs of any length between pictures of any grid; each picture in its frame of start and end tokens."""
    config = tiny.model.config
    tokens: list[int] = []
    found: list[tuple[int, int, int]] = []
    for piece in pieces:
        if isinstance(piece, int):
            tokens += [9] * piece
        else:
            found.append(piece)
            tokens += [
                config.vision_start_token_id,
                *[config.image_token_id] * (piece[1] * piece[2] // 4),
                config.vision_end_token_id,
            ]
    ids = torch.tensor(tokens)[None]
    wanted, _ = tiny.model.model.get_rope_index(
        ids,
        mm_token_type_ids=(ids == config.image_token_id).int(),
        image_grid_thw=torch.tensor(found) if found else None,
        attention_mask=torch.ones_like(ids),
    )
    got = tiny.family.positions(np.array(tokens), found, image_token_id=config.image_token_id, merge_size=2)
    np.testing.assert_array_equal(got, wanted[:, 0].numpy())


def test_by_hand(tiny: Any) -> None:
    """Two text tokens, a picture of 2 x 3 merged tokens, one text token."""
    got = tiny.family.positions(
        np.array([1, 1, 7, 7, 7, 7, 7, 7, 1]), [(1, 4, 6)], image_token_id=7, merge_size=2
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
        tiny.family.positions(np.array(tokens), found, image_token_id=7, merge_size=2)
