"""Draws of prompts: epochs in a seeded order, refills beside them, and going on after a kill."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from rl.experience.prompt_source import FixedSource, UniformSource
from rl.recipe.rl_config import RlConfig


def ids(prompts: list[Any] | None) -> list[str]:
    assert prompts is not None
    return [one.prompt_id for one in prompts]


def test_draws_are_epochs_in_seeded_order(prompt: Callable[..., Any]) -> None:
    prompts = [prompt(f"p{i}") for i in range(10)]
    source, again = UniformSource(prompts, seed="s"), UniformSource(prompts, seed="s")
    batches = [ids(source.draw(4)) for _ in range(5)]
    assert all(len(set(batch)) == 4 for batch in batches)
    assert [ids(again.draw(4)) for _ in range(5)] == batches
    order = list(range(10))
    random.Random("s epoch 0").shuffle(order)  # the rule of every run so far: other draws would be other runs
    assert [name for batch in batches for name in batch][:8] == [f"p{i}" for i in order[:8]]


def test_a_refill_leaves_out_what_was_tried_and_moves_no_later_draw(prompt: Callable[..., Any]) -> None:
    prompts = [prompt(f"p{i}") for i in range(12)]
    source, undisturbed = UniformSource(prompts, seed="s"), UniformSource(prompts, seed="s")
    first = ids(source.draw(4))
    second = ids(source.draw(3, without=first))
    third = ids(source.draw(3, without=[*first, *second]))
    assert len({*first, *second, *third}) == 10
    order = list(range(12))
    random.Random("s step 0 refill 0 epoch 0").shuffle(order)
    assert second == [f"p{i}" for i in order if f"p{i}" not in first][:3]
    assert len(ids(source.draw(9, without=[*first, *second, *third]))) == 2
    assert source.draw(1, without=ids(prompts)) == []
    assert ids(undisturbed.draw(4)) == first
    assert ids(source.draw(4)) == ids(undisturbed.draw(4))


def test_draws_fill_a_number_of_rollouts(prompt: Callable[..., Any]) -> None:
    prompts = [replace(prompt(f"p{i}"), kind="general" if i % 2 else "verifiable") for i in range(12)]
    config = RlConfig(
        rollouts_per_step=20, samples_per_prompt=8, samples_per_general_prompt=1, num_mini_batches=4
    )
    source = UniformSource.of(prompts, config, seed="s")
    for batch in (source.draw(20) for _ in range(6)):
        costs = [config.num_samples_of(one.kind) for one in batch]
        assert sum(costs[:-1]) < 20 <= sum(costs) < 28
        assert len({one.prompt_id for one in batch}) == len(batch)
    everything = UniformSource.of(prompts, config, seed="s").draw(1000)
    assert len(everything) == 12  # a small set is drawn whole, once


@pytest.mark.parametrize("num_before", [0, 1, 4, 9])
def test_a_restored_source_goes_on(prompt: Callable[..., Any], num_before: int) -> None:
    """Through ends of epochs and after refills; without a replay: only the epoch it stands in is shuffled again."""
    prompts = [prompt(f"p{i}") for i in range(7)]
    source = UniformSource(prompts, seed="s")
    for _ in range(num_before):
        source.draw(2, without=ids(source.draw(3)))
    state = json.loads(json.dumps(source.state()))
    restored = UniformSource(prompts, seed="s")
    restored.restore(state)
    for _ in range(6):
        batch = ids(source.draw(3))
        assert ids(restored.draw(3)) == batch
        assert ids(restored.draw(2, without=batch)) == ids(source.draw(2, without=batch))
    assert restored.state() == source.state()


def test_a_fixed_list_is_drawn_whole_and_once(prompt: Callable[..., Any]) -> None:
    source = FixedSource([prompt("a"), prompt("b")])
    assert ids(source.draw(0)) == ["a", "b"]
    assert source.draw(0) is None
    assert FixedSource([]).draw(0) == []
