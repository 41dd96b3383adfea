"""Packs of supervised rows: nothing lost, nothing over the limit, the same again from the seed."""

from __future__ import annotations

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from rl.data.epochs import epochs_of
from rl.data.sft_batches import num_packs, packs_of, sft_packs


@given(lengths=st.lists(st.integers(1, 50), min_size=1, max_size=60), limit=st.integers(1, 80))
def test_every_row_once_in_order_and_packs_are_full(lengths: list[int], limit: int) -> None:
    packs = list(packs_of(range(len(lengths)), lengths, limit))
    assert [index for pack in packs for index in pack] == list(range(len(lengths)))
    for pack, after in zip(packs, [*packs[1:], None], strict=True):
        tokens = sum(lengths[index] for index in pack)
        assert tokens <= limit or len(pack) == 1
        if after is not None:
            assert tokens + lengths[after[0]] > limit


def test_the_stream_follows_the_epochs_and_is_counted_right() -> None:
    lengths = [3, 4, 5, 6, 7, 8, 9]
    packs = list(islice(sft_packs(lengths, 12, seed="s"), 40))
    order = [index for pack in packs for index in pack]
    assert order == list(islice(epochs_of(7, seed="s"), len(order)))
    counted = num_packs(lengths, 12, seed="s", num_rows=14)
    assert sum(map(len, packs[: counted - 1])) < 14 <= sum(map(len, packs[:counted]))


def test_without_packing_a_row_is_a_pack() -> None:
    assert list(islice(sft_packs([5, 5], None, seed="s"), 4)) == [
        [index] for index in islice(epochs_of(2, seed="s"), 4)
    ]
    assert num_packs([5, 5], None, seed="s", num_rows=3) == 3
