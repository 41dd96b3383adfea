"""How a batch is cut: balanced over ranks, then into micro-batches of a token budget, the same number on each rank."""

from __future__ import annotations

from collections.abc import Sequence

from rl.data.token_sequence import Ints

Plan = list[list[list[int]]]  # [rank][micro-batch] -> indices into the batch


def sequence_cost(lengths: Ints) -> list[int]:
    """Work of a sequence, 24576 L + L^2: projections and experts against attention (Seed1.5-VL's infrastructure
    section; verl balances by the same)."""
    return [int(24576 * length + length * length) for length in lengths]


def balanced(lengths: Ints, data_parallel: int) -> list[list[int]]:
    """Shares of equal work, one a replica, in ascending order each; of as many sequences where they divide evenly."""
    if data_parallel == 1:
        return [list(range(len(lengths)))]
    if len(lengths) < data_parallel:
        return [[i] if i < len(lengths) else [] for i in range(data_parallel)]
    from verl.utils.seqlen_balancing import get_seqlen_balanced_partitions

    partitions: list[list[int]] = get_seqlen_balanced_partitions(
        sequence_cost(lengths), data_parallel, equal_size=len(lengths) % data_parallel == 0
    )
    return [sorted(share) for share in partitions]


def cut_micro_batches(
    lengths: Ints, shares: Sequence[Sequence[int]], micro_batch_tokens: int, *, packed: bool = False
) -> Plan:
    """Cut each rank's share of a batch whose sequences have these lengths.

    Every rank gets the same number of micro-batches, because gathers and reductions are collective; where a rank has
    fewer sequences than that, its list is padded with empty micro-batches; where no rank has any, each has an empty
    one. A micro-batch holds at most ``micro_batch_tokens`` tokens, padding included, or a single longer sequence.
    """
    cut = [_by_budget(lengths, share, micro_batch_tokens, packed) for share in shares]
    most = max(1, *map(len, cut))
    return [micro_batches + [[] for _ in range(most - len(micro_batches))] for micro_batches in cut]


def _by_budget(lengths: Ints, indices: Sequence[int], budget: int, packed: bool) -> list[list[int]]:
    """Neighbours in length share a micro-batch, so that padding is small; the longest come first, so that a batch that
    does not fit in memory fails at once. Even sizes are aimed for: no small rest at the end."""
    ordered = sorted(indices, key=lambda i: -int(lengths[i]))
    if not ordered:
        return []
    total = int(lengths[ordered].sum()) if packed else int(lengths[ordered[0]]) * len(ordered)
    even = -(-total // max(1, -(-total // budget)))
    for target in (even, budget):
        micro_batches = _fill(lengths, ordered, target, packed)
        if target == budget or len(micro_batches) <= -(-total // budget):
            return micro_batches
    raise AssertionError("unreachable")


def _fill(lengths: Ints, ordered: list[int], budget: int, packed: bool) -> list[list[int]]:
    micro_batches: list[list[int]] = []
    current: list[int] = []
    used = 0
    for i in ordered:
        length = int(lengths[i])
        after = (
            used + length
            if packed
            else max(length, int(lengths[current[0]]) if current else 0) * (len(current) + 1)
        )
        if current and after > budget:
            micro_batches.append(current)
            current, after = [], length
        current.append(i)
        used = after
    micro_batches.append(current)
    return micro_batches
