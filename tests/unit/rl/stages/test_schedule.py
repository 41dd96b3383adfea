"""Learning rates against a table worked out by hand; epochs that neither lose nor double an item."""

from __future__ import annotations

import math
from collections import Counter
from itertools import islice, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.data.epochs import epochs_of
from rl.recipe.sft_config import SftConfig
from rl.recipe.trainer_config import ScheduleConfig


def test_by_hand() -> None:
    schedule = ScheduleConfig(lr=4.0, min_lr=1.0, warmup_frac=0.2)
    rates = [schedule.rate(i, 10) for i in range(10)]
    cosine = [1 + 1.5 * (1 + math.cos(math.pi * k / 8)) for k in range(8)]
    assert rates == pytest.approx([2.0, 4.0, *cosine])
    assert rates[6] == pytest.approx(2.5)  # half way down: the mean of 4 and 1


def test_without_warm_up_the_first_step_has_the_full_rate() -> None:
    assert ScheduleConfig(lr=3e-4, warmup_frac=0.0).rate(0, 7) == 3e-4


@given(st.integers(1, 500), st.floats(0, 0.99), st.floats(0, 1))
def test_never_zero_at_the_start_nor_out_of_range(
    num_steps: int, warmup_frac: float, min_frac: float
) -> None:
    schedule = ScheduleConfig(lr=1.0, min_lr=min_frac, warmup_frac=warmup_frac)
    rates = [schedule.rate(i, num_steps) for i in range(num_steps)]
    warmup = round(warmup_frac * num_steps)
    assert rates[0] > 0
    assert max(rates) <= 1 + 1e-12
    assert all(a <= b for a, b in pairwise(rates[:warmup]))
    assert all(a >= b - 1e-12 for a, b in pairwise(rates[warmup:]))
    assert min(rates[warmup:], default=1) >= min_frac - 1e-12


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 4), st.text(max_size=5))
def test_each_epoch_holds_every_item_once(num_items: int, num_epochs: int, seed: str) -> None:
    drawn = list(islice(epochs_of(num_items, seed=seed), num_items * num_epochs))
    for epoch in range(num_epochs):
        assert sorted(drawn[epoch * num_items : (epoch + 1) * num_items]) == list(range(num_items))
    assert set(Counter(drawn).values()) == {num_epochs}
    assert drawn == list(islice(epochs_of(num_items, seed=seed), num_items * num_epochs))


def test_epochs_and_seeds_differ() -> None:
    first, second, *_ = (list(islice(epochs_of(50, seed=seed), 100)) for seed in ("a", "b"))
    assert first[:50] != first[50:]
    assert first != second


def test_steps_and_rates_of_a_round() -> None:
    from rl.stages.supervised.sft import num_sft_steps, rows_seen

    config = SftConfig(
        epochs=2.5,
        batch_size=16,
        later_epochs=1.0,
        later_lr=1e-3,
        schedule=ScheduleConfig(lr=5e-3, min_lr=1e-4),
    )
    assert num_sft_steps(config, rows_seen(config, 0, 33)) == 6  # 82.5 rows in sixteens
    assert num_sft_steps(config, rows_seen(config, 1, 33)) == 3
    assert num_sft_steps(config, rows_seen(config, 0, 1)) == 1
    assert (config.schedule.peaking_at(None).lr, config.schedule.peaking_at(1e-3).lr) == (5e-3, 1e-3)
    assert config.schedule.peaking_at(1e-3).min_lr == 1e-4
