"""Epochs in a seeded order, from any place in them."""

from __future__ import annotations

import random
from collections.abc import Iterator


def epochs_of(num_items: int, *, seed: str, start: int = 0) -> Iterator[int]:
    """Indices of an endless row of epochs, each a new shuffle that depends on the seed alone; ``start`` are left out.

    >>> from itertools import islice
    >>> [*islice(epochs_of(3, seed="s"), 8)][5:] == [*islice(epochs_of(3, seed="s", start=5), 3)]
    True
    """
    epoch, taken = divmod(start, max(1, num_items))
    while True:
        order = list(range(num_items))
        random.Random(f"{seed} epoch {epoch}").shuffle(order)
        yield from order[taken:]
        epoch, taken = epoch + 1, 0
