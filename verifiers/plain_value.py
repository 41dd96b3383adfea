"""Plain JSON values: all that may stand in an option, a reference or a verdict, since all three cross processes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def json_text(value: Any) -> str:
    """One line of JSON, keys sorted. Raises `TypeError` or `ValueError` naming what has no plain value.

    >>> json_text({"sizes": {3, 1}})
    '{"sizes": [1, 3]}'
    """
    return json.dumps(value, sort_keys=True, default=plain_value)


def plain_value(value: Any) -> Any:
    """What `json` cannot write, one layer unwrapped: numpy's scalars and arrays, sets (sorted), mappings.

    Raises `TypeError` for anything else.
    """
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "tolist"):  # numpy, which this floor does not import
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} ({repr(value)[:80]}) is no plain JSON value")


def number_text(value: float) -> str:
    """The shortest text of a number: `3` for 3.0, as nobody would answer it otherwise."""
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 2**53
    return str(int(value) if whole else value)


def whole_number(value: Any) -> int | None:
    """A whole number as an int, also 3.0 (what Parquet makes of a column of whole numbers with gaps); None for anything
    else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if isinstance(value, int) or value.is_integer() else None


def plain_number(value: Any, name: str) -> float:
    """``value``, called ``name`` in the message, as a Python number. Raises `TypeError`."""
    if type(value) is float:
        return value
    number = plain_value(value) if hasattr(value, "tolist") else value
    if not isinstance(number, (int, float)):
        raise TypeError(f"{name} is a number, got a {type(value).__name__} ({repr(value)[:80]})")
    return number
