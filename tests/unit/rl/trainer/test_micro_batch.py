"""The cutting of a batch: nothing lost, budgets held, ranks in step, work even."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.trainer.micro_batch import Plan, balanced, cut_micro_batches, sequence_cost


def plan_of(lengths: list[int], num_ranks: int, micro_batch_tokens: int, *, packed: bool = False) -> Plan:
    """As a step is cut."""
    given = np.array(lengths)
    return cut_micro_batches(given, balanced(given, num_ranks), micro_batch_tokens, packed=packed)


lengths_lists = st.lists(st.integers(2, 300), min_size=1, max_size=40)


@settings(max_examples=120, deadline=None)
@given(lengths_lists, st.integers(1, 5), st.integers(1, 900), st.booleans())
def test_plan(lengths: list[int], num_ranks: int, budget: int, packed: bool) -> None:
    plan = plan_of(lengths, num_ranks, budget, packed=packed)
    assert len(plan) == num_ranks
    placed = [index for rank in plan for micro_batch in rank for index in micro_batch]
    assert sorted(placed) == list(range(len(lengths)))
    assert len({len(rank) for rank in plan}) == 1
    for rank in plan:
        for micro_batch in rank:
            own = [lengths[index] for index in micro_batch]
            size = sum(own) if packed else max(own, default=0) * len(own)
            assert size <= budget or len(own) == 1
            assert own == sorted(own, reverse=True)
        assert not any(rank[i] == [] and rank[i + 1] for i in range(len(rank) - 1))  # empty ones come last


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(2, 300), min_size=8, max_size=40), st.integers(2, 4))
def test_ranks_share_the_work(lengths: list[int], num_ranks: int) -> None:
    """No rank carries more than the mean and one longest sequence; equal numbers where they divide evenly."""
    plan = plan_of(lengths, num_ranks, 10**6)
    costs = sequence_cost(np.array(lengths))
    loads = [sum(costs[index] for micro_batch in rank for index in micro_batch) for rank in plan]
    assert max(loads) <= sum(costs) / num_ranks + max(costs)
    if len(lengths) % num_ranks == 0:
        assert {sum(map(len, rank)) for rank in plan} == {len(lengths) // num_ranks}


def test_balance_is_near_the_best_split() -> None:
    """Against every equal split of eight sequences in two."""
    lengths = [200, 190, 30, 20, 10, 100, 5, 60]
    costs = sequence_cost(np.array(lengths))
    best = min(
        abs(2 * sum(costs[i] for i in half) - sum(costs)) for half in itertools.combinations(range(8), 4)
    )
    plan = plan_of(lengths, 2, 10**6)
    loads = [sum(costs[index] for micro_batch in rank for index in micro_batch) for rank in plan]
    assert abs(loads[0] - loads[1]) <= best + 0.1 * sum(costs)


def test_no_small_rest_at_the_end() -> None:
    """Ten sequences of 10 under a budget of 80: two halves of five, not eight and two."""
    plan = plan_of([10] * 10, 1, 80)
    assert [len(micro_batch) for micro_batch in plan[0]] == [5, 5]


def test_sequence_cost_by_hand() -> None:
    assert sequence_cost(np.array([1, 100])) == [24577, 2467600]
