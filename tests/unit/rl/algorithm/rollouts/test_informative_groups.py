"""Which groups carry a signal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rl.algorithm.algorithm import Algorithm
from rl.algorithm.rollouts.informative_groups import informative_groups, left_out
from rl.recipe.rl_config import RlConfig


def test_by_hand() -> None:
    rewards = [1.0, 0.0, 1.0, 1.0, 0.0, 0.5, 0.4, 0.45, 0.0]
    groups = ["mixed", "mixed", "right", "right", "wrong", "near", "near", "near", "wrong"]
    assert informative_groups(rewards, groups) == {"mixed", "near"}
    assert informative_groups(rewards, groups, min_spread=0.2) == {"mixed"}
    assert informative_groups(rewards, groups, min_spread=1.0) == frozenset()


def test_a_group_of_one_is_kept() -> None:
    assert informative_groups([0.5, 1.0, 1.0], ["general", "a", "a"], min_spread=0.9) == {"general"}


def test_nothing() -> None:
    assert informative_groups([], []) == frozenset()


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from([0.0, 0.25, 1.0])), min_size=1))
def test_agrees_with_the_advantages_of_the_group(rows: list[tuple[str, float]]) -> None:
    """Left out are the groups in which every GRPO advantage is 0."""
    members = [group for group, _ in rows]
    rows = [row for row in rows if members.count(row[0]) > 1]
    if not rows:
        return
    groups, rewards = zip(*rows, strict=True)
    found = Algorithm(RlConfig()).estimate(rewards, groups, [1] * len(rows)).advantages
    moved = {group for group, own in zip(groups, found, strict=True) if own[0]}
    assert informative_groups(rewards, groups) == moved


def test_what_is_left_out_has_its_reason() -> None:
    """Without a decision; without a sibling, where siblings are compared; in a group of equal scores, where asked."""
    scores = [1.0, None, 0.0, 0.0, None, None, 1.0, 1.0]
    groups = ["a", "a", "a", "lone", "lone", "none", "same", "same"]
    plain = [None, "undecided", None, None, "undecided", "undecided", None, None]
    assert left_out(scores, groups, needs_groups=False, needs_spread=False) == plain
    grouped = left_out(scores, groups, needs_groups=True, needs_spread=False)
    assert grouped == [*plain[:3], "no_sibling", *plain[4:]]
    spread = left_out(scores, groups, needs_groups=True, needs_spread=True)
    assert spread == [*grouped[:6], "uniform_group", "uniform_group"]
    critic = left_out(scores, groups, needs_groups=False, needs_spread=True)
    assert critic[3] is None, "a group of one teaches a critic"
