"""Prompts and SFT rows as Arrow tables, and Parquet files that `datasets` opens with PIL images in them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from sampler.atomic_file import written_whole
from sampler.prompt import Prompt
from sampler.vision_input import VisionInput

GROUP_BYTES = 8 * 2**20  # of a row group, which is read whole for one picture of it
_ROWS_AT_ONCE = 16  # whose pictures are read before the size of the group is looked at

RowT = TypeVar("RowT")

_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_VIDEO = pa.struct([("bytes", pa.large_binary()), ("path", pa.string())])
_PART = pa.struct([("type", pa.string()), ("text", pa.string())])
_MESSAGE = pa.struct([("role", pa.string()), ("content", pa.list_(_PART))])

PROMPT_FIELDS: tuple[tuple[str, pa.DataType], ...] = (
    ("prompt_id", pa.string()),
    ("messages", pa.list_(_MESSAGE)),
    ("images", pa.list_(_IMAGE)),
    (
        "videos",
        pa.list_(_VIDEO),
    ),  # plain bytes to `datasets`: its Video feature would ask every reader for torchcodec
    ("kind", pa.string()),
    ("verifier", pa.string()),
    ("verifier_options", pa.string()),  # JSON: options differ from verifier to verifier
    ("reference", pa.string()),
    ("reference_json", pa.string()),  # lists and mappings
    ("source", pa.string()),
    ("tags", pa.list_(pa.string())),
)


def prompt_columns(prompts: Sequence[Prompt]) -> dict[str, list[Any]]:
    """One list per column of `PROMPT_FIELDS`."""
    texts = [prompt.reference if isinstance(prompt.reference, str) else None for prompt in prompts]
    as_json = [
        prompt.reference_text if text is None else None for prompt, text in zip(prompts, texts, strict=True)
    ]
    return {
        "prompt_id": [prompt.prompt_id for prompt in prompts],
        "messages": [list(prompt.messages) for prompt in prompts],
        "images": [_encoded(prompt.images) for prompt in prompts],
        "videos": [_encoded(prompt.videos) for prompt in prompts],
        "kind": [prompt.kind for prompt in prompts],
        "verifier": [prompt.verifier for prompt in prompts],
        "verifier_options": [
            json.dumps(prompt.verifier_options, sort_keys=True) if prompt.verifier_options else "{}"
            for prompt in prompts
        ],
        "reference": texts,
        "reference_json": as_json,
        "source": [prompt.source for prompt in prompts],
        "tags": [list(prompt.tags) for prompt in prompts],
    }


def _encoded(files: Sequence[VisionInput]) -> list[dict[str, bytes | None]]:
    return [{"bytes": file.read(), "path": None} for file in files]


def write_parquet(
    path: str | os.PathLike[str],
    rows: Iterable[RowT],
    columns: Callable[[Sequence[RowT]], dict[str, list[Any]]],
    fields: Sequence[tuple[str, pa.DataType]],
) -> Path:
    """Rows as the ``columns`` they make, a row group in memory at a time. Returns the path; a reader never sees half a
    file."""
    target = Path(path)
    schema = parquet_schema(fields)
    with (
        written_whole(target) as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd") as writer,
    ):
        remaining, group, num_bytes = iter(rows), [schema.empty_table()], 0
        while part := list(islice(remaining, _ROWS_AT_ONCE)):
            group.append(pa.table(columns(part), schema=schema))
            num_bytes += group[-1].nbytes
            if num_bytes >= GROUP_BYTES:
                writer.write_table(pa.concat_tables(group).combine_chunks())
                group, num_bytes = [schema.empty_table()], 0
        writer.write_table(pa.concat_tables(group).combine_chunks())
    return target


def parquet_schema(fields: Sequence[tuple[str, pa.DataType]]) -> pa.Schema:
    """Of a file that `datasets` opens with PIL images in it."""
    return pa.schema(list(fields), metadata={"huggingface": json.dumps(_hub_info(fields))})


def _hub_info(fields: Sequence[tuple[str, pa.DataType]]) -> dict[str, Any]:
    """The metadata `datasets` itself writes; by hand, because importing it costs seconds and nothing else is used."""
    return {"info": {"features": {name: _feature(dtype) for name, dtype in fields}}}


def _feature(dtype: pa.DataType) -> dict[str, Any]:
    if dtype == _IMAGE:
        return {"_type": "Image"}
    if pa.types.is_list(dtype):
        return {"feature": _feature(dtype.value_type), "_type": "List"}
    if pa.types.is_struct(dtype):
        return {field.name: _feature(field.type) for field in dtype}
    return {"dtype": str(dtype), "_type": "Value"}
