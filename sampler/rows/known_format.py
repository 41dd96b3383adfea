"""Rows in the column names of other trainers, which are read as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class KnownFormat(NamedTuple):
    """Hone's columns by the names that another trainer has for them, and what judges where a row names no verifier."""

    name: str
    columns: Mapping[str, str]
    verifier: str | None = None

    def __str__(self) -> str:
        renamed = ", ".join(f"{theirs} as {ours}" for ours, theirs in self.columns.items())
        return f"read in {self.name}'s columns ({renamed})"


FORMATS = (
    KnownFormat("ShareGPT", {"messages": "conversations", "images": "image"}),
    KnownFormat("EasyR1", {"messages": "problem", "reference": "answer"}, "math"),
    KnownFormat(
        "verl",
        {"messages": "prompt", "reference": "reward_model.ground_truth", "source": "data_source"},
        "math",
    ),
)


def known_format(values: Mapping[str, Any]) -> KnownFormat | None:
    """The first format whose messages are in the row, which has no `messages`; and whose references, where it has a
    name of its own for them. Its columns are those that the row has under the format's names alone."""
    if "messages" in values:
        return None
    for one in FORMATS:
        needed = (one.columns["messages"], one.columns.get("reference", "").partition(".")[0])
        if all(name in values for name in needed if name):
            theirs = {ours: name for ours, name in one.columns.items() if ours not in values}
            return one._replace(
                columns={ours: name for ours, name in theirs.items() if name.partition(".")[0] in values}
            )
    return None
