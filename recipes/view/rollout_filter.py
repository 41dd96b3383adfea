"""Which rollouts a reader asked to see, read from the address of a page: untrusted text in, SQL with parameters out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

PAGE_SIZE = 20


@dataclass(frozen=True)
class RolloutFilter:
    """Empty means all. `page` counts from 1."""

    stage: str = ""
    type: str = ""
    verdict: str = ""
    min_reward: float | None = None
    max_reward: float | None = None
    page: int = 1

    @classmethod
    def from_query(cls, query: Mapping[str, Sequence[str]]) -> RolloutFilter:
        """From `urllib.parse.parse_qs`. Raises `ValueError` with the name of what is wrong."""
        values = {name: (query.get(name) or [""])[0].strip() for name in cls.__dataclass_fields__}
        page = values["page"] or "1"
        if not (page.isascii() and page.isdecimal() and 1 <= len(page) <= 9):
            raise ValueError("page is a whole number from 1")
        return cls(
            stage=values["stage"],
            type=values["type"],
            verdict=values["verdict"],
            min_reward=_number("min_reward", values["min_reward"]),
            max_reward=_number("max_reward", values["max_reward"]),
            page=max(int(page), 1),
        )

    def where(self) -> tuple[str, list[Any]]:
        """A condition over the view `rollouts` and its parameters."""
        parts = (
            ("stage = ?", self.stage or None),
            ("question_type = ?", self.type or None),
            ("word = ?", self.verdict or None),
            ("reward >= ?", self.min_reward),
            ("reward <= ?", self.max_reward),
        )
        asked = [(condition, value) for condition, value in parts if value is not None]
        return " AND ".join(condition for condition, _ in asked) or "true", [value for _, value in asked]

    def query_string(self, page: int) -> str:
        """The same filter at another page, for a link."""
        fields = vars(replace(self, page=page))
        return urlencode({name: value for name, value in fields.items() if value not in {"", None}})


def _number(name: str, text: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{name} is a number")
    return value
