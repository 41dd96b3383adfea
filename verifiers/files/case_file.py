"""Cases of the rows of a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from verifiers.answer import FinalAnswer
from verifiers.case import Case
from verifiers.errors import BadInput, near_name, slip_of
from verifiers.reading.response import split_response
from verifiers.verifier import shown


@dataclass(frozen=True)
class Columns:
    """Column names of a case file, and how its responses are split."""

    id: str = "id"
    response: str = "response"
    answer: str = "answer"
    reference: str = "reference"
    verifier: str = "verifier"
    options: str = "options"
    finish_reason: str = "finish_reason"
    prefilled_think: bool = False
    expects_thought: bool = True


def case_of(
    row: Mapping[str, Any],
    number: int,
    columns: Columns,
    verifier: str | None,
    options: Mapping[str, Any],
    *,
    where: str,
) -> Case:
    """One row as a case; ``number`` names it where it has no id. Raises `BadInput` that says ``where``, and the column.

    The row's own verifier and options columns win over the ones given for the whole file; the file's options
    apply only to rows of the file's verifier.
    """
    if row.get(columns.reference) is None:
        raise BadInput(f"{where}: {_missing(columns.reference, row)}")
    name = row.get(columns.verifier) or verifier
    if not isinstance(name, str):
        near = slip_of(columns.verifier, [str(one) for one in row if one != columns.verifier])
        raise BadInput(
            f"{where}: no verifier; pass --verifier or give the row a {columns.verifier!r} column{near}"
        )
    merged = dict(options) if name == verifier else {}
    column = columns.options if columns.options in row else "verifier_options"  # as a prompt set has it
    merged.update(_row_options(row.get(column), where, column))
    raw_id = row.get(columns.id)
    return Case(
        case_id=str(number if raw_id is None else raw_id),
        verifier=name,
        options=merged,
        reference=row[columns.reference],
        answer=_answer(row, where, columns),
    )


def _answer(row: Mapping[str, Any], where: str, columns: Columns) -> FinalAnswer:
    answer, response = row.get(columns.answer), row.get(columns.response)
    if isinstance(answer, str):
        return FinalAnswer(answer, "ok" if answer.strip() else "empty")
    if isinstance(response, str):
        return split_response(
            response,
            finish_reason=row.get(columns.finish_reason),
            prefilled_think=columns.prefilled_think,
            expects_thought=columns.expects_thought,
        ).answer
    if answer is not None or response is not None:
        column, got = (columns.response, response) if answer is None else (columns.answer, answer)
        raise BadInput(f"{where}: column {column!r} must be text, got {shown(repr(got), 40)}")
    if columns.answer in row or columns.response in row:
        return FinalAnswer("", "empty")  # the model gave nothing
    present = ", ".join(map(str, row)) or "none"
    near = near_name(columns.response, map(str, row)) or near_name(columns.answer, map(str, row))
    raise BadInput(
        f"{where}: no column {columns.response!r} or {columns.answer!r}{near} (columns: {present})"
    )


def _row_options(value: Any, where: str, column: str) -> dict[str, Any]:
    if isinstance(value, str) and value.strip():
        try:
            value = json.loads(value)
        except ValueError:
            raise BadInput(f"{where}: column {column!r} is not JSON: {value[:60]!r}") from None
    if value in (None, ""):
        return {}
    if not isinstance(value, Mapping):
        raise BadInput(f"{where}: column {column!r} holds a mapping, got {type(value).__name__}")
    # Parquet gives every row every struct field: absent ones come back as null.
    return {name: item for name, item in value.items() if item is not None}


def _missing(column: str, row: Mapping[str, Any]) -> str:
    present = ", ".join(map(str, row)) or "none"
    if column in row:
        return f"column {column!r} is empty"
    return f"no column {column!r}{near_name(column, map(str, row))} (columns: {present})"
