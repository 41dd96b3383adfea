"""Which groups are worth a step: those whose responses differ in reward."""

from __future__ import annotations

from collections.abc import Sequence


def informative_groups(
    rewards: Sequence[float], group_ids: Sequence[str], min_spread: float = 0.0
) -> frozenset[str]:
    """Groups whose largest and smallest reward differ by more than ``min_spread``, and groups of one, whose signal is
    the difference to the critic (DAPO, 2503.14476, equation 11: not all right and not all wrong).

    >>> sorted(informative_groups([1, 0, 1, 1, 0], ["a", "a", "b", "b", "c"]))
    ['a', 'c']
    """
    groups: dict[str, list[float]] = {}
    for reward, group_id in zip(rewards, group_ids, strict=True):
        groups.setdefault(group_id, []).append(reward)
    return frozenset(
        group_id for group_id, own in groups.items() if len(own) == 1 or max(own) - min(own) > min_spread
    )
