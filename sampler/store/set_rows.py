"""Prompt sets as rows of the store: Hone's Parquet is asked where it lies, another form goes through its reader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from sampler.data.prompt_dataset import load_prompts
from sampler.store.sql_text import literal, table_of, table_without_rows

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_PROMPT_SCHEMA = pa.schema(
    [
        (name, pa.string())
        for name in (
            "prompt_id",
            "kind",
            "verifier",
            "verifier_options",
            "reference",
            "reference_json",
            "source",
        )
    ]
    + [("tags", pa.list_(pa.string())), ("question", pa.string())]
    + [("num_pictures", pa.int64()), ("num_films", pa.int64())]
)
NO_PROMPT = table_without_rows(pa.schema([("run", pa.string()), ("split", pa.string()), *_PROMPT_SCHEMA]))

_PROMPTS_OF_FILE = """
    SELECT prompt_id, kind, verifier, {options} AS verifier_options, coalesce(reference, {as_json}) AS reference,
        {as_json} AS reference_json, source, tags, coalesce(len(images), 0) AS num_pictures,
        coalesce(len({videos}), 0) AS num_films,
        array_to_string(list_transform(flatten(list_transform(messages, lambda m: m.content)), lambda p: p.text), ' ')
        AS question
    FROM {table}
"""
# A prompt that stands twice in a file is one prompt, the first, as for who loads the set to train on it.
_TWICE = "SELECT 1 FROM {table} GROUP BY prompt_id HAVING count(*) > 1 LIMIT 1"
_FIRST = (
    "(SELECT * FROM {table} QUALIFY row_number() OVER (PARTITION BY prompt_id ORDER BY file_row_number) = 1)"
)


def prompts_sql(database: DuckDBPyConnection, run: str, split: str, location: str) -> str:
    """SQL that selects the prompts of a run's set at ``location``, with the columns of ``NO_PROMPT``. Raises: BadInput
    for a set that cannot be read."""
    columns = _parquet_columns(Path(location))
    if {"prompt_id", "messages", "images"} <= columns:
        as_json, options, videos = (
            name if name in columns else "NULL" for name in ("reference_json", "verifier_options", "videos")
        )
        table = table_of([Path(location)])
        if database.sql(_TWICE.format(table=table)).fetchall():
            table = _FIRST.format(table=table_of([Path(location)], "file_row_number = true"))
        source = _PROMPTS_OF_FILE.format(table=table, as_json=as_json, options=options, videos=videos)
    else:
        name = f"set_{run.encode().hex()}_{split}"
        database.register(name, _loaded(location))
        source = f"SELECT * FROM {name}"
    return f"SELECT {literal(run)} AS run, {literal(split)} AS split, * FROM ({source})"


def _parquet_columns(path: Path) -> set[str]:
    return set(pq.read_schema(path).names) if path.suffix == ".parquet" and path.is_file() else set()


def _loaded(location: str) -> pa.Table:
    """A set of another form through the reader that the run itself used; its pictures stay where they are."""
    rows = [
        {
            "prompt_id": prompt.prompt_id,
            "kind": prompt.kind,
            "verifier": prompt.verifier,
            "verifier_options": json.dumps(prompt.verifier_options, sort_keys=True),
            "reference": prompt.reference_text,
            "reference_json": None if isinstance(prompt.reference, str) else prompt.reference_text,
            "source": prompt.source,
            "tags": list(prompt.tags),
            "question": prompt.text,
            "num_pictures": len(prompt.images),
            "num_films": len(prompt.videos),
        }
        for prompt in load_prompts(location, max_decoded=0)
    ]
    return pa.Table.from_pylist(rows, schema=_PROMPT_SCHEMA)
