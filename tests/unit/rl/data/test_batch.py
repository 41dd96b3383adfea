"""Packing, selecting and counting, against the sequences that went in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.data.batch import RESPONSE_COLUMNS, TrainBatch, TrainSequence
from sampler.vision_input import VisionInput


@st.composite
def sequence_lists(draw: st.DrawFn) -> list[TrainSequence]:
    sequences = []
    for number in range(draw(st.integers(1, 9))):
        num_prompt, num_response = draw(st.integers(1, 7)), draw(st.integers(1, 6))
        rng = np.random.default_rng(draw(st.integers(0, 2**31)))
        prompt = draw(st.integers(0, 3))
        mask = rng.integers(0, 2, num_response).astype(np.float32) if draw(st.booleans()) else None
        sequences.append(
            TrainSequence(
                f"s{number}",
                f"p{prompt}",
                rng.integers(0, 1000, num_prompt + num_response).astype(np.int32),
                num_prompt,
                vision_inputs=(VisionInput.of("image", f"image {prompt}".encode()),) * (prompt % 3),
                loss_mask=mask,
                advantages=rng.normal(size=num_response).astype(np.float32) if draw(st.booleans()) else None,
                sample_logprobs=rng.normal(size=num_response).astype(np.float32),
                kl_coef=float(rng.uniform()),
                is_right=bool(rng.integers(0, 2)),
            )
        )
    return sequences


def assert_holds(batch: TrainBatch, sequences: list[TrainSequence]) -> None:
    """Each column, cut at the sequences' ends, is what each sequence brought."""
    assert len(batch) == len(sequences)
    assert batch.sequence_ids == tuple(one.sequence_id for one in sequences)
    assert batch.prompt_ids == tuple(one.prompt_id for one in sequences)
    start = 0
    for one, length, num_prompt in zip(sequences, batch.lengths, batch.prompt_lengths, strict=True):
        np.testing.assert_array_equal(batch.token_ids[start : start + length], one.token_ids)
        assert num_prompt == one.num_prompt_tokens
        start += length
    assert start == len(batch.token_ids) == batch.num_tokens
    np.testing.assert_array_equal(batch.kl_coef, np.array([one.kl_coef for one in sequences], np.float32))
    np.testing.assert_array_equal(batch.is_right, np.array([one.is_right for one in sequences], np.float32))
    for name, default in (("loss_mask", 1.0), ("advantages", 0.0), ("sample_logprobs", 0.0)):
        parts = batch.split_response_column(getattr(batch, name))
        for one, part in zip(sequences, parts, strict=True):
            wanted = getattr(one, name)
            wanted = np.full(one.num_response_tokens, default) if wanted is None else wanted
            np.testing.assert_array_equal(part, wanted.astype(np.float32))
    assert batch.vision_inputs == {one.prompt_id: one.vision_inputs for one in sequences if one.vision_inputs}


@settings(max_examples=60, deadline=None)
@given(sequence_lists(), st.data())
def test_select_gives_what_packing_the_selection_gives(
    sequences: list[TrainSequence], data: st.DataObject
) -> None:
    batch = TrainBatch.of(sequences)
    assert_holds(batch, sequences)
    masks = [
        np.ones(one.num_response_tokens) if one.loss_mask is None else one.loss_mask for one in sequences
    ]
    assert batch.num_loss_tokens == sum(int(mask.sum()) for mask in masks)
    assert batch.num_loss_sequences == sum(bool(mask.any()) for mask in masks)
    assert batch.num_right_tokens == sum(
        int(mask.sum()) for mask, one in zip(masks, sequences, strict=True) if one.is_right
    )

    indices = data.draw(st.lists(st.integers(0, len(sequences) - 1), min_size=1, max_size=12))
    part = batch.select(indices)
    picked = [sequences[index] for index in indices]
    assert_holds(part, picked)
    assert (part.num_loss_tokens, part.num_loss_sequences, part.num_right_tokens) == (
        batch.num_loss_tokens,
        batch.num_loss_sequences,
        batch.num_right_tokens,
    )
    assert part.counted().num_right_tokens == TrainBatch.of(picked).num_right_tokens
    assert part.counted().num_loss_tokens == TrainBatch.of(picked).num_loss_tokens
    assert part.counted().num_loss_sequences == TrainBatch.of(picked).num_loss_sequences


def test_every_response_column_is_selected() -> None:
    """Those too that are filled in after packing: log-probabilities, values, returns."""
    sequences = [TrainSequence(f"s{n}", "p", np.arange(2 + n, dtype=np.int32), 1) for n in range(1, 5)]
    batch = TrainBatch.of(sequences)
    flat = np.arange(len(batch.loss_mask), dtype=np.float32)
    batch = batch.replace(**{name: flat + i for i, name in enumerate(RESPONSE_COLUMNS)})
    part = batch.select([3, 0])
    for i, name in enumerate(RESPONSE_COLUMNS):
        assert getattr(part, name).tolist() == [9 + i, 10 + i, 11 + i, 12 + i, 13 + i, i, 1 + i]


def test_selecting_nothing() -> None:
    batch = TrainBatch.of([TrainSequence("s", "p", np.arange(4, dtype=np.int32), 2)])
    empty = batch.select([])
    assert (len(empty), empty.num_tokens, empty.vision_inputs) == (0, 0, {})
    assert empty.num_loss_tokens == 2
    assert empty.counted().num_loss_tokens == 0
    assert empty.split_response_column(empty.loss_mask) == []


def test_sequence_without_loss_is_not_counted() -> None:
    silent = TrainSequence("a", "p", np.arange(5, dtype=np.int32), 2, loss_mask=np.zeros(3, np.float32))
    spoken = TrainSequence("b", "p", np.arange(5, dtype=np.int32), 2)
    batch = TrainBatch.of([silent, spoken])
    assert (batch.num_loss_tokens, batch.num_loss_sequences) == (3, 1)
    assert batch.num_tokens == pytest.approx(10)
