"""Which rollouts are learnt from: those with a decision, in groups that carry a signal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

LeftOut = Literal["undecided", "uniform_group", "no_sibling"]
WHY_LEFT_OUT: dict[LeftOut, str] = {
    "undecided": "without a decision of their judge",
    "uniform_group": "in groups of equal rewards, also after rl.max_refills further draws",
    "no_sibling": "alone in their group",
}


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
        group_id
        for group_id, members in groups.items()
        if len(members) == 1 or max(members) - min(members) > min_spread
    )


def left_out(
    scores: Sequence[float | None], group_ids: Sequence[str], *, needs_groups: bool, needs_spread: bool
) -> list[LeftOut | None]:
    """For each rollout why it is not learnt from; None where it is.

    undecided: its judge came to no decision, which is no wrong answer. uniform_group (with ``needs_spread``): its
    group's scores are all alike. no_sibling (with ``needs_groups``): alone of its group it has a score, and the mean of
    the group would be that score.

    >>> left_out([1, None, 0, 1], ["a", "a", "b", "b"], needs_groups=True, needs_spread=False)
    ['no_sibling', 'undecided', None, None]
    """
    decided = [(score, group) for score, group in zip(scores, group_ids, strict=True) if score is not None]
    groups = [group for _, group in decided]
    informative = informative_groups([score for score, _ in decided], groups) if needs_spread else set(groups)
    alone = {group for group, size in Counter(groups).items() if size == 1} if needs_groups else set()

    def reason(score: float | None, group: str) -> LeftOut | None:
        if score is None:
            return "undecided"
        if group not in informative:
            return "uniform_group"
        return "no_sibling" if group in alone else None

    return [reason(score, group) for score, group in zip(scores, group_ids, strict=True)]
