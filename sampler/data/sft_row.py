"""One supervised example: a prompt, the response to learn, and where that response came from."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from sampler.data.packed_rows import PackedRows
from sampler.data.prompt_messages import CONTROL_TOKEN, checked_text, checked_words
from sampler.data.prompt_reader import PromptReader
from sampler.data.prompt_schema import PROMPT_FIELDS, prompt_columns, write_parquet
from sampler.data.reference import is_missing, require_shallow
from sampler.data.row_columns import COLUMNS
from sampler.data.set_reading import DescribedSet, SetReading
from sampler.image import ANY_MODEL, ImageLimits
from sampler.prompt import Prompt
from sampler.rows.dataset_rows import every_row
from sampler.rows.row import DatasetRow
from sampler.rows.unread_column import UnreadColumn, UnreadColumns
from sampler.rows.wrong_rows import WrongRows
from verifiers.errors import BadInput, slip_of

ValueT = TypeVar("ValueT")

SFT_FIELDS: tuple[tuple[str, pa.DataType], ...] = (
    *PROMPT_FIELDS,
    ("response", pa.string()),
    ("sft_source", pa.string()),  # `source` is the prompt's
    ("rollout_id", pa.string()),
    ("policy_version", pa.int64()),
    ("round", pa.int64()),
    ("verdict", pa.string()),  # JSON
)
LINEAGE_COLUMNS = tuple(name for name, _ in SFT_FIELDS[len(PROMPT_FIELDS) :])


@dataclass(frozen=True)
class SftRow:
    """`response` is what the policy is to say, thought and solution: `<think>3+5+1</think>\\boxed{9}`.

    A row harvested by rejection sampling carries its lineage: the rollout it was, the policy version that
    sampled it, the round, and the verdict (as a plain dict) that let it in. A cold-start row has none of these.
    """

    prompt: Prompt
    response: str
    source: str = "cold_start"
    rollout_id: str | None = None
    policy_version: int | None = None
    round: int | None = None
    verdict: dict[str, Any] | None = None


@dataclass(frozen=True)
class SftDataset:
    """Supervised rows in order with where each stands, the columns of their set that nothing reads, and what is odd
    about rows, in a line each."""

    rows: Sequence[SftRow]
    locations: Sequence[str] = ()
    unread_columns: tuple[UnreadColumn, ...] = ()
    num_not_decoded: int = 0
    remarks: tuple[str, ...] = ()


def save_sft_rows(path: str | os.PathLike[str], rows: Iterable[SftRow]) -> Path:
    """Write rows as Parquet: the prompt's columns, the response, and the lineage. Returns the path."""
    return write_parquet(path, rows, _sft_columns, SFT_FIELDS)


def _sft_columns(rows: Sequence[SftRow]) -> dict[str, list[Any]]:
    return prompt_columns([row.prompt for row in rows]) | {
        "response": [row.response for row in rows],
        "sft_source": [row.source for row in rows],
        "rollout_id": [row.rollout_id for row in rows],
        "policy_version": [row.policy_version for row in rows],
        "round": [row.round for row in rows],
        "verdict": [None if row.verdict is None else json.dumps(row.verdict, sort_keys=True) for row in rows],
    }


def load_sft_rows(path_or_hub_id: str | os.PathLike[str], **options: Any) -> list[SftRow]:
    """The rows of `load_sft_dataset`, which takes the same options."""
    return list(load_sft_dataset(path_or_hub_id, **options).rows)


def load_sft_dataset(
    path_or_hub_id: str | os.PathLike[str],
    *,
    split: str | None = None,
    limit: int | None = None,
    columns: Mapping[str, str] | None = None,
    limits: ImageLimits = ANY_MODEL,
    max_decoded: int | None = None,
) -> SftDataset:
    """Read and check supervised rows; a row needs `messages` and `response`, all else is optional. Where there is no
    response, it is the assistant's last message.

    Nobody judges these rows, so a reference is not needed; one that is there is still checked. Raises `BadRows`
    naming file, row and column of rows that are wrong.
    """
    path_or_hub_id, reading = DescribedSet.of(path_or_hub_id, SetReading(split, columns or {}))
    own = {name: reading.columns.get(name, name) for name in LINEAGE_COLUMNS}
    reader = PromptReader(
        columns={name: theirs for name, theirs in reading.columns.items() if name not in own},
        default_kind="general",
        needs_reference=False,
        takes_answer=True,
        limits=limits,
        max_decoded=max_decoded,
    )
    rows: PackedRows[SftRow] = PackedRows()
    locations: list[str] = []
    wrong, unread = WrongRows(), UnreadColumns([*COLUMNS, *LINEAGE_COLUMNS], reading.columns)
    for row in wrong.sound(every_row(path_or_hub_id, reading.split)):
        if limit is not None and len(rows) >= limit:
            break
        unread.see(row)
        with wrong.collected(row.location):
            rows.append(_sft_row(row, reader, own))
            locations.append(row.location)
    wrong.raise_any()
    if not rows:
        raise BadInput(f"{path_or_hub_id}: the set has no rows")
    return SftDataset(rows, locations, unread.found, reader.num_not_decoded, reader.remarks.named())


def _sft_row(row: DatasetRow, reader: PromptReader, columns: Mapping[str, str]) -> SftRow:
    prompt, name = reader.read(row), columns["response"]
    response = _optional(row, name, str)
    if response and reader.answer:
        raise BadInput(
            f"{row.location}, column {name!r}: the messages end in an assistant's too: keep one of them"
        )
    response = response or reader.answer
    if not response:
        hint = slip_of(name, [key for key in row.values if key not in (*COLUMNS, *LINEAGE_COLUMNS)])
        raise BadInput(f"{row.location}, column {name!r}: a supervised row needs the response to learn{hint}")
    try:
        inside = CONTROL_TOKEN.findall(checked_words(response))
    except BadInput as why:
        raise BadInput(f"{row.location}, column {name!r}: {why}") from None
    if inside and not (len(inside) == 1 and response.rstrip().endswith(inside[0])):
        remark = f"{inside[0]} inside the response is learnt as a control token"
        reader.remarks.add(row.location, f", column {name!r}: {remark}")
    return SftRow(
        prompt=prompt,
        response=response,
        source=_optional(row, columns["sft_source"], str) or "cold_start",
        rollout_id=_optional(row, columns["rollout_id"], str),
        policy_version=_optional(row, columns["policy_version"], int),
        round=_optional(row, columns["round"], int),
        verdict=_verdict(row, columns["verdict"]),
    )


def _verdict(row: DatasetRow, column: str) -> dict[str, Any] | None:
    value = row.values.get(column)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as why:
            raise BadInput(f"{row.location}, column {column!r}: not valid JSON: {why}") from None
    if value is not None and not isinstance(value, dict):
        raise BadInput(
            f"{row.location}, column {column!r}: a verdict is a JSON object, got {type(value).__name__}"
        )
    try:
        require_shallow(value)
    except BadInput as why:
        raise BadInput(f"{row.location}, column {column!r}: {why}") from None
    return value


def _optional(row: DatasetRow, column: str, wanted: type[ValueT]) -> ValueT | None:
    value = row.values.get(column)
    if is_missing(value):
        return None
    if not isinstance(value, wanted) or isinstance(value, bool):
        raise BadInput(
            f"{row.location}, column {column!r}: expected {wanted.__name__}, got {type(value).__name__}"
        )
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise BadInput(f"{row.location}, column {column!r}: a whole number of at most 64 bits is wanted")
    if isinstance(value, str):
        try:
            checked_text(value)
        except BadInput as why:
            raise BadInput(f"{row.location}, column {column!r}: {why}") from None
    return value
