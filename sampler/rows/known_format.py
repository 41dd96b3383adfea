"""Rows in the column names of other trainers, which are read as they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from string import ascii_uppercase
from typing import Any, NamedTuple


class KnownFormat(NamedTuple):
    """Hone's columns by the names that another trainer has for them, what judges where a row names no verifier, and
    columns that a row has beside them where the names alone do not tell."""

    name: str
    columns: Mapping[str, str]
    verifier: str | None = None
    beside: tuple[str, ...] = ()

    def __str__(self) -> str:
        renamed = ", ".join(f"{theirs} as {ours}" for ours, theirs in self.columns.items())
        return f"read in {self.name}'s columns ({renamed})"


FORMATS = (
    KnownFormat("LLaVA", {"messages": "conversations", "images": "image"}, beside=("image",)),
    KnownFormat("ShareGPT", {"messages": "conversations"}),
    KnownFormat("EasyR1", {"messages": "problem", "images": "image", "reference": "answer"}, "math"),
    KnownFormat("R1-V", {"messages": "problem", "images": "image", "reference": "solution"}, "math"),
    KnownFormat(
        "verl",
        {
            "messages": "prompt",
            "images": "image",
            "reference": "reward_model.ground_truth",
            "source": "data_source",
            "tags": "ability",
        },
        "math",
    ),
    *(
        KnownFormat("TRL", {"messages": "prompt", "images": "image", "reference": name}, judge)
        for name, judge in (
            ("solution", "math"),
            ("ground_truth", "math"),
            ("answer", None),
            ("completion", None),
            ("chosen", None),
        )
    ),
)

# What sets of questions call Hone's columns, where nobody can say how they are to be judged.
USUAL_NAMES: Mapping[str, tuple[str, ...]] = {
    "messages": ("question", "problem", "query", "instruction", "prompt", "text", "conversation"),
    "images": (
        "image",
        "decoded_image",
        "image_1",
        "img",
        "picture",
        "image_path",
        "file_name",
        "image_file",
    ),
    "reference": ("answer", "answers", "label", "solution", "ground_truth", "target"),
}


def renaming(values: Mapping[str, Any], missing: str) -> str:
    """A hint where a row lacks the column and has it by a usual name: which of its columns to rename. Else nothing."""
    found = {
        ours: name
        for ours, usual in USUAL_NAMES.items()
        if ours not in values and (name := next((one for one in usual if values.get(one) is not None), None))
    }
    if missing not in found:
        return ""
    return (
        "; rename "
        + ", ".join(f"{name!r} to {ours!r}" for ours, name in found.items())
        + " or set data.columns"
    )


def wrapping_column(values: Mapping[str, Any], column: str) -> str | None:
    """The column under which whole rows lie in a list, by one that each of them has."""
    for name, held in values.items():
        if isinstance(held, list) and held and isinstance(held[0], dict) and column in held[0]:
            return name
    return None


def odd_names(values: Mapping[str, Any], known: Iterable[str]) -> list[str]:
    """Columns of a row that may be misspelt: neither known nor anybody's usual name for one."""
    usual = {*known, *(name for names in USUAL_NAMES.values() for name in names)}
    return [name for name in map(str, values) if name not in usual]


def known_format(values: Mapping[str, Any]) -> KnownFormat | None:
    """The first format whose messages are in the row, which has no `messages`; and whose references, where it has a
    name of its own for them. Its columns are those that the row has under the format's names alone."""
    return None if "messages" in values else _format_with(tuple(values))


@lru_cache(maxsize=256)
def _format_with(names: tuple[str, ...]) -> KnownFormat | None:
    for one in FORMATS:
        needed = (one.columns["messages"], one.columns.get("reference", "").partition(".")[0], *one.beside)
        if all(name in names for name in needed if name):
            theirs = {ours: name for ours, name in one.columns.items() if ours not in names}
            return one._replace(
                columns={ours: name for ours, name in theirs.items() if name.partition(".")[0] in names}
            )
    return None


NOTES: Mapping[str, tuple[str, ...]] = {
    "tags": ("question_type", "category", "ability", "task"),
    "source": ("data_source", "dataset"),
}  # by their usual names, which a set's author adds for people
OPTION_COLUMNS = ("options", "choices", *ascii_uppercase)
PLAIN = "a plain set"


def usual_format(values: Mapping[str, Any]) -> KnownFormat | None:
    """The row's own columns by the usual names of questions, pictures and answers, where it has at least a question:
    what an import takes them for, and a run does not."""
    if "messages" in values:
        return None
    found = {
        ours: name
        for ours, usual in (*USUAL_NAMES.items(), *NOTES.items())
        if ours not in values and (name := next((one for one in usual if values.get(one) is not None), None))
    }
    options = tuple(name for name in OPTION_COLUMNS if name in values)
    return KnownFormat(PLAIN, found, beside=options) if "messages" in found else None


def format_of(values: Mapping[str, Any]) -> KnownFormat | None:
    """What an import takes a row for: a trainer's format, or usual names; None where it is in Hone's columns."""
    return known_format(values) or usual_format(values)
