"""Whose log-probabilities are the old ones, by recipe; which rollouts are checked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rl.algorithm.old_logprobs import checked_rollouts, old_logprobs_source
from rl.recipe.rl_config import RlConfig


@pytest.mark.parametrize(
    ("settings", "in_float32", "expected"),
    [
        ({}, True, "sampler"),
        ({}, False, "trainer"),
        ({"num_mini_batches": 1}, False, "update"),
        ({"num_mini_batches": 1, "loss": {"importance": "mask"}}, True, "update"),
        ({"num_mini_batches": 1, "loss": {"kl_in": "reward"}}, False, "trainer"),
        ({"loss": {"importance": "mask"}}, True, "trainer"),
        ({"top_p": 0.9}, True, "trainer"),
        ({"old_log_probs": "recompute", "num_mini_batches": 1}, True, "trainer"),
        ({"old_log_probs": "sampler"}, False, "sampler"),
    ],
)
def test_the_cheapest_that_is_right(settings: dict[str, Any], in_float32: bool, expected: str) -> None:
    assert old_logprobs_source(RlConfig(**settings), in_float32=in_float32) == expected


@pytest.mark.parametrize("settings", [{"top_p": 0.9}, {"loss": {"importance": "truncate"}}])
def test_the_sampler_s_are_refused_where_they_mean_something_else(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="old_log_probs=sampler"):
        RlConfig(old_log_probs="sampler", **settings)


@pytest.mark.parametrize("num_rollouts", [1, 5, 8, 17, 512])
def test_in_eight_steps_every_rollout_has_its_turn(num_rollouts: int) -> None:
    steps = [checked_rollouts(num_rollouts, step) for step in range(8)]
    assert all(step.any() for step in steps)
    assert np.any(steps, axis=0).all()
    assert max(step.sum() for step in steps) <= -(-num_rollouts // 8)
