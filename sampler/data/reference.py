"""A reference as it lies in a data set, turned into what verifiers are given."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

from sampler.data.prompt_messages import checked_text
from sampler.prompt import Reference
from sampler.rows.row import DatasetRow, column_value
from verifiers.errors import BadInput
from verifiers.plain_value import number_text

MAX_DEPTH = 50  # of lists and mappings in each other, far below what Python's own recursion bears


def is_missing(value: Any) -> bool:
    """Whether there is no value: nothing, or the NaN that tables have where nothing is."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def read_reference(value: Any, *, is_typed: bool = False) -> Reference | None:
    """Text as it is, also where it looks like a list; a number as its shortest text; a list or a mapping as plain JSON.
    None where there is none. Raises `BadInput`.

    `is_typed`: the row's mappings all have the same keys, so one that is null is absent.

    >>> read_reference(3.0), read_reference("[1, 2]"), read_reference([1, 2])
    ('3', '[1, 2]', [1, 2])
    """
    if is_missing(value) or value == [] or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, str):
        return checked_text(value)
    if isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, (int, float, Decimal)):
        if not isinstance(value, int) and not math.isfinite(value):
            raise BadInput(f"a reference is a finite number, got {value}: write it as text, such as \\infty")
        return str(value) if isinstance(value, Decimal) else number_text(value)
    try:
        require_shallow(value)
        text = json.dumps(_without_null(value) if is_typed else value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as why:
        raise BadInput(f"a reference is text, a number, or a list or mapping of plain JSON: {why}") from None
    plain: Reference = json.loads(checked_text(text))
    return plain


def require_shallow(value: Any) -> None:
    """Raises `BadInput` for lists and mappings in each other so deep that the code that hands them on would fail."""
    level = [value]
    for _ in range(MAX_DEPTH):
        held = [one for one in level if isinstance(one, dict | list)]
        level = [item for one in held for item in (one.values() if isinstance(one, dict) else one)]
        if not level:
            return
    raise BadInput(f"lists and mappings stand in each other more than {MAX_DEPTH} deep")


def row_reference(row: DatasetRow, column: str) -> Reference | None:
    """Of a row whose references are in this column, or in `reference_json`. Raises `BadInput` naming the row."""
    as_json = row.values.get("reference_json")
    try:
        if as_json is not None:
            return reference_of_json(as_json)
        return read_reference(column_value(row.values, column), is_typed=row.is_typed)
    except BadInput as why:
        raise BadInput(f"{row.location}, column {column!r}: {why}") from None


def reference_of_json(text: str) -> Reference | None:
    """Of a column that holds JSON text, since its file has one type a column. Raises `BadInput`."""
    try:
        return read_reference(json.loads(text)) if text.strip() else None
    except (ValueError, RecursionError) as why:
        if isinstance(why, BadInput):
            raise
        raise BadInput(f"not valid JSON: {why}") from None


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_null(item) for key, item in value.items() if item is not None}
    return [_without_null(item) for item in value] if isinstance(value, list) else value
