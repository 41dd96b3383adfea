"""Names and files as SQL says them."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa


def literal(text: str) -> str:
    """A text as SQL says it."""
    return "'" + text.replace("'", "''") + "'"


def table_of(files: Sequence[Path], *options: str) -> str:
    """`read_parquet(...)` over exactly these files, whatever characters their names hold."""
    if not files:
        return "(SELECT NULL::VARCHAR AS stage WHERE false)"
    names = ", ".join(literal(glob.escape(str(file))) for file in files)
    return f"read_parquet([{names}], {', '.join(('union_by_name = true', *options))})"


def table_without_rows(schema: pa.Schema) -> pa.Table:
    """Of no batch: Arrow's own way makes an array of a list, and the first of those imports pandas, which takes longer
    than what is asked of most stores."""
    return pa.Table.from_batches([], schema)
