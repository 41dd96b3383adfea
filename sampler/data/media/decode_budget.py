"""How many pictures and films are decoded: the first that the readers come to who share a budget."""

from __future__ import annotations


class DecodeBudget:
    """For ``num`` pictures and films (None: all), whichever of its readers meets them.

    >>> budget = DecodeBudget(2)
    >>> budget.take(), budget.take(), budget.take()
    (True, True, False)
    """

    def __init__(self, num: int | None) -> None:
        self._left = num

    def take(self) -> bool:
        """Whether the next one is decoded; one that turns out to be damaged counts too."""
        if self._left is None:
            return True
        decodes = self._left > 0
        self._left -= decodes
        return decodes
