"""Putting sequences end to end, selecting and counting, against the sequences that went in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.data.batch import Batch, StepCounts
from rl.data.token_sequence import TokenSequence
from sampler.vision_input import VisionInput

NAMES = ("advantages", "sample_logprobs", "teacher_logprobs")  # a name is all that a new column needs


@st.composite
def sequence_lists(draw: st.DrawFn) -> list[TokenSequence]:
    """Masks of any shape: turns with gaps between them, nothing to learn from at all; columns that some lack."""
    sequences = []
    for number in range(draw(st.integers(1, 9))):
        length = draw(st.integers(2, 12))
        rng = np.random.default_rng(draw(st.integers(0, 2**31)))
        prompt = draw(st.integers(0, 3))
        mask = rng.integers(0, 2, length).astype(np.float32)
        mask[0] = 0
        sequences.append(
            TokenSequence(
                f"s{number}",
                f"p{prompt}",
                rng.integers(0, 1000, length).astype(np.int32),
                mask,
                {name: rng.normal(size=length).astype(np.float32) for name in NAMES if rng.random() < 0.7},
                {"kl_coef": float(rng.uniform()), "is_right": float(rng.integers(0, 2))},
                (VisionInput.of("image", f"image {draw(st.integers(0, 1))}".encode()),) * (prompt % 3),
            )
        )
    return sequences


def assert_holds(batch: Batch, sequences: list[TokenSequence]) -> None:
    """Each column, cut at the sequences' ends, is what each sequence brought."""
    assert len(batch) == len(sequences)
    assert batch.sequence_ids == tuple(one.sequence_id for one in sequences)
    assert batch.prompt_ids == tuple(one.prompt_id for one in sequences)
    assert batch.num_tokens == len(batch.token_ids) == sum(len(one.token_ids) for one in sequences)
    ends = np.cumsum(batch.lengths)[:-1]
    for index, one in enumerate(sequences):
        np.testing.assert_array_equal(np.split(batch.token_ids, ends)[index], one.token_ids)
        np.testing.assert_array_equal(np.split(batch.loss_mask, ends)[index], one.loss_mask)
        learnt = one.loss_mask > 0
        assert batch.loss_lengths[index] == learnt.sum()
        for name, column in batch.columns.items():
            wanted = one.columns.get(name, np.zeros(len(one.token_ids), np.float32))
            np.testing.assert_array_equal(np.split(column, ends)[index], wanted)
            np.testing.assert_array_equal(batch.rows(batch.column(name))[index], wanted[learnt])
        for name, scalar in batch.scalars.items():
            assert scalar[index] == np.float32(one.scalars[name])
    assert batch.vision_inputs == tuple(one.vision_inputs for one in sequences)
    assert len({id(shown) for shown in batch.vision_inputs}) == len(set(batch.vision_inputs))
    masks = [one.loss_mask for one in sequences]
    assert batch.counts == StepCounts(
        num_loss_tokens=sum(int(mask.sum()) for mask in masks),
        num_loss_sequences=sum(bool(mask.any()) for mask in masks),
        num_right_tokens=sum(int(one.loss_mask.sum()) for one in sequences if one.scalars["is_right"]),
    )


@settings(max_examples=60, deadline=None)
@given(sequence_lists(), st.data())
def test_select_gives_what_packing_the_selection_gives(
    sequences: list[TokenSequence], data: st.DataObject
) -> None:
    batch = Batch.of(sequences)
    assert set(batch.columns) == {name for one in sequences for name in one.columns}
    assert_holds(batch, sequences)
    indices = data.draw(st.lists(st.integers(0, len(sequences) - 1), min_size=1, max_size=12))
    assert_holds(batch.select(indices), [sequences[index] for index in indices])


def test_columns_are_written_where_something_is_learnt() -> None:
    """Two turns with a gap between them, then one turn: values lie at the tokens learnt from, in their order."""
    two_turns = TokenSequence("a", "p", np.arange(6, dtype=np.int32), np.float32([0, 1, 0, 0, 1, 1]))
    batch = Batch.of([two_turns, TokenSequence.of_response("b", "q", [0], [1, 2])])
    values = np.float32([1, 2, 3, 4, 5])
    got = batch.with_columns(returns=values)
    assert got.columns["returns"].tolist() == [0, 1, 0, 0, 2, 3, 0, 4, 5]
    assert got.column("returns").tolist() == values.tolist()
    assert [row.tolist() for row in got.rows(values)] == [[1, 2, 3], [4, 5]]
    assert got.select([1, 0]).column("returns").tolist() == [4, 5, 1, 2, 3]
    assert "returns" not in batch.columns
    with pytest.raises(ValueError, match="boolean array indexing assignment"):
        batch.with_columns(returns=np.zeros(9, np.float32))


def test_selecting_nothing() -> None:
    batch = Batch.of([TokenSequence.of_response("s", "p", [0, 1], [2, 3], columns={"returns": [1, 2]})])
    empty = batch.select([])
    assert (len(empty), empty.num_tokens, empty.vision_inputs) == (0, 0, ())
    assert empty.counts == StepCounts(0, 0)
    assert empty.rows(empty.column("returns")) == []


def test_what_is_no_sequence_is_refused() -> None:
    tokens = np.arange(3, dtype=np.int32)
    with pytest.raises(AssertionError, match="first token"):
        TokenSequence("s", "p", tokens, np.ones(3, np.float32))
    with pytest.raises(AssertionError, match="returns: one number a token"):
        TokenSequence("s", "p", tokens, np.zeros(3, np.float32), {"returns": np.zeros(2, np.float32)})
