"""Penalties and weights by hand, on both sides of every edge."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl.algorithm.algorithm import Algorithm
from rl.algorithm.rollouts.reward_shaping import overlong_penalty, reward_weight
from rl.recipe.rl_config import RlConfig


def dapo(length: int, longest: int, cache: int) -> float:
    """2503.14476, equation 13, as it stands there."""
    if length <= longest - cache:
        return 0.0
    if length <= longest:
        return ((longest - cache) - length) / cache
    return -1.0


@given(st.integers(1, 40000), st.integers(1, 20000), st.integers(1, 20000))
def test_overlong_penalty_is_equation_13(length: int, longest: int, cache: int) -> None:
    cache = min(cache, longest)
    got = overlong_penalty(length, max_tokens=longest, cache_tokens=cache)
    assert got == pytest.approx(dapo(length, longest, cache))
    assert -1.0 <= got <= 0.0


def test_overlong_penalty_of_the_paper() -> None:
    """16,384 + 4,096 tokens of cache."""
    found = [overlong_penalty(n, max_tokens=20480, cache_tokens=4096) for n in (16384, 18432, 20480, 20481)]
    assert found == [0.0, -0.5, -1.0, -1.0]


def test_no_cache_no_penalty() -> None:
    assert overlong_penalty(99, max_tokens=50, cache_tokens=0) == 0.0


def test_only_an_unreadable_answer_is_penalised() -> None:
    algorithm = Algorithm(RlConfig(unparseable_penalty=0.25))
    for status, penalty in (
        ("unparseable", -0.25),
        ("scored", 0.0),
        ("timeout", 0.0),
        ("error", 0.0),
        (None, 0.0),
    ):
        learnt = algorithm.reward(
            1.0, kind="verifiable", verifier="math", verdict_status=status, num_tokens=1
        )
        assert learnt.penalties["unparseable"] == penalty


def test_a_verifiers_weight_goes_before_its_kinds() -> None:
    weights = {"math": 0.5, "verifiable": 2.0}
    assert reward_weight(weights, kind="verifiable", verifier="math") == 0.5
    assert reward_weight(weights, kind="verifiable", verifier="iou") == 2.0
    assert reward_weight(weights, kind="general", verifier=None) == 1.0
    assert reward_weight({}, kind="general", verifier="math") == 1.0
    assert reward_weight({"math": 0.0}, kind="verifiable", verifier="math") == 0.0
