"""Which prompts a reader asked to see: untrusted text in an address, and the SQL that it comes to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from recipes.view.opened import Snapshot

PAGE_SIZE = 50
Sort = Literal["rate", "-rate", "n", "-n", "-spread", "-unsure", "type", "id"]
# Ascending, and never none, so that two rows can be compared by it.
ORDERS: Mapping[Sort, str] = {
    "rate": "coalesce(mean, 2)", "-rate": "coalesce(-mean, 2)", "n": "n", "-n": "-n",
    "-spread": "coalesce(-spread, 'infinity'::DOUBLE)", "-unsure": "coalesce(low - high, 2)", "type": "question_type",
    "id": "prompt_id",
}  # fmt: skip
SORT_WORDS: Mapping[Sort, str] = {
    "rate": "pass rate, lowest first", "-rate": "pass rate, highest first", "n": "fewest samples",
    "-n": "most samples", "-spread": "reward spread", "-unsure": "least certain", "type": "question type", "id": "id",
}  # fmt: skip
_LABELS = {"low": "pass rate from", "high": "pass rate to", "min_n": "samples from"}  # as the form names them
DECISIONS = ("open", "accepted", "rejected", "corrected", "tagged")


def _as_rate(given: Any) -> Any:
    """A pass rate as people write it: 0.1, 10% or 10."""
    text = str(given).strip()
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        number = -1.0
    if not 0 <= number <= 100:
        raise ValueError("a pass rate is a number from 0 to 1, or a percentage such as 10%")
    return number / 100 if text.endswith("%") or number > 1 else number


Rate = Annotated[float, BeforeValidator(_as_rate)]
RowKey = tuple[str, str, str]  # run, split and prompt id: what tells a row from every other


def _as_key(given: Any) -> Any:
    try:
        return json.loads(given) if isinstance(given, str) else given
    except (ValueError, RecursionError):
        raise ValueError("a run, a split and a prompt") from None


class PromptFilter(BaseModel):
    """Empty means all; ``page`` counts from 1, and ``after`` names the row that a page follows, whatever has left the
    filter since. ``policy`` is a policy version: pass rates of it alone."""

    model_config = ConfigDict(frozen=True)

    run: str = ""
    split: str = ""
    type: str = ""
    tag: str = ""
    standing: str = ""
    verifier: str = ""
    source: str = ""
    move: str = ""
    decision: Literal["", "open", "accepted", "rejected", "corrected", "tagged"] = ""
    suspect: Literal["", "yes"] = ""
    q: str = ""
    low: Rate | None = None
    high: Rate | None = None
    min_n: Annotated[int, Field(ge=0, lt=10**9)] | None = None
    policy: Annotated[int, Field(ge=0, lt=10**12)] | None = None
    sort: Sort = "rate"
    page: Annotated[int, AfterValidator(lambda page: max(page, 1))] = Field(1, ge=0, lt=10**9)
    after: Annotated[RowKey | None, BeforeValidator(_as_key)] = None

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> PromptFilter:
        """Raises: ValueError with the name of what is wrong."""
        given = {name: query[name].strip() for name in cls.model_fields if query.get(name)}
        try:
            return cls.model_validate({name: text for name, text in given.items() if text})
        except ValidationError as why:
            first = why.errors()[0]
            words = str(first["msg"]).removeprefix("Value error, ")
            raise ValueError(f"{_LABELS.get(str(first['loc'][0]), first['loc'][0])}: {words}") from None

    def query_string(self, **other: Any) -> str:
        """The same filter, for a link."""
        given = self.model_dump(exclude_defaults=True) | other
        return urlencode(
            {
                name: json.dumps(one) if name == "after" else one
                for name, one in given.items()
                if one is not None
            }
        )

    def where(self, snapshot: Snapshot) -> tuple[str, list[Any]]:
        """A condition over the rows of ``Snapshot.rows_table`` and its parameters."""
        parts: list[tuple[str, Sequence[Any]]] = []
        for column, value in (
            ("run", self.run), ("split", self.split), ("question_type", self.type), ("standing", self.standing),
            ("verifier", self.verifier), ("source", self.source),
        ):  # fmt: skip
            if value:
                parts.append((f"{column} = ?", [value]))
        for condition, number in (("mean >= ?", self.low), ("mean <= ?", self.high), ("n >= ?", self.min_n)):
            if number is not None:
                parts.append((condition, [number]))
        if self.q:
            words = "(contains(lower(question), lower(?)) OR starts_with(prompt_id, ?) OR reference = ?)"
            parts.append((words, [self.q] * 3))
        if self.move:
            moved = f"SELECT (run, prompt_id) FROM {snapshot.rows_table(None)} WHERE list_contains(moves, ?)"
            parts.append((f"(run, prompt_id) IN ({moved})", [self.move]))
        if self.tag:
            parts.append(("list_contains(tags, ?)", [self.tag]))
        if self.suspect:
            parts.append(
                (f"(run, prompt_id) IN (SELECT (run, prompt_id) FROM {snapshot.suspects_table()})", ())
            )
        if self.decision:
            parts.append((self._decided(snapshot.decided_table()), ()))
        return " AND ".join(condition for condition, _ in parts) or "true", [
            one for _, more in parts for one in more
        ]

    def _decided(self, table: str) -> str:
        of = {
            "accepted": "accepted", "rejected": "NOT accepted", "corrected": "revision > 0",
            "tagged": "len(tags_added) + len(tags_removed) > 0", "open": "accepted IS NOT NULL",
        }[self.decision]  # fmt: skip
        negated = "NOT " if self.decision == "open" else ""
        return f"(run, prompt_id) {negated}IN (SELECT (run, prompt_id) FROM {table} WHERE {of})"

    def beside(self, comparison: Literal["<", "<=", ">"], table: str) -> str:
        """A condition on the rows before or after one of the table, which need not pass the filter; its parameters
        are that row's ``RowKey``."""
        other = f"SELECT ({self.order}) FROM {table} WHERE run = ? AND split = ? AND prompt_id = ?"
        return f"({self.order}) {comparison} ({other})"

    @property
    def order(self) -> str:
        """What tells every row from another comes last, so that pages do not overlap."""
        return ", ".join(self._keys)

    @property
    def backward(self) -> str:
        """The same order, from its end."""
        return ", ".join(f"{key} DESC" for key in self._keys)

    @property
    def _keys(self) -> tuple[str, ...]:
        return ORDERS[self.sort], "prompt_id", "run", "split"
