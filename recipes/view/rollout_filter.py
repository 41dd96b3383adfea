"""Which rollouts a reader asked to see, read from the address of a page: untrusted text in, SQL with parameters out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import urlencode

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

PAGE_SIZE = 20


class RolloutFilter(BaseModel):
    """Empty means all. `page` counts from 1."""

    model_config = ConfigDict(frozen=True)

    stage: str = ""
    type: str = ""
    verdict: str = ""
    min_reward: FiniteFloat | None = None
    max_reward: FiniteFloat | None = None
    page: Annotated[int, AfterValidator(lambda page: max(page, 1))] = Field(1, ge=0, lt=10**9)

    @classmethod
    def from_query(cls, query: Mapping[str, Sequence[str]]) -> RolloutFilter:
        """From `urllib.parse.parse_qs`. Raises `ValueError` with the name of what is wrong."""
        given = {name: query[name][0].strip() for name in cls.model_fields if query.get(name)}
        try:
            return cls.model_validate({name: text for name, text in given.items() if text})
        except ValidationError as why:
            raise ValueError(f"{why.errors()[0]['loc'][0]}: {why.errors()[0]['msg']}") from None

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
        return urlencode(self.model_dump(exclude_defaults=True) | {"page": page})
