"""Names and files as SQL says them."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from verifiers.errors import BadInput


def literal(text: str) -> str:
    """A text as SQL says it."""
    return "'" + text.replace("'", "''") + "'"


def table_of(files: Sequence[Path], *options: str) -> str:
    """`read_parquet(...)` over exactly these files, whatever characters their names hold."""
    if not files:
        return "(SELECT NULL::VARCHAR AS stage WHERE false)"
    names = ", ".join(literal(glob.escape(str(file))) for file in files)
    return f"read_parquet([{names}], {', '.join(('union_by_name = true', *options))})"


def require_query(sql: str) -> None:
    """Raises: BadInput for what asks nothing, or would make, change or drop something; DuckDB's for what is no SQL."""
    import duckdb

    statements = duckdb.extract_statements(sql)
    if not statements:
        raise BadInput("the query is empty")
    if len(statements) > 1:
        raise BadInput(f"one query at a time: these are {len(statements)}")
    kind, words = statements[0].type, statements[0].query.split(maxsplit=1)
    types = duckdb.StatementType
    # A PIVOT whose columns are looked up first is of several statements; so is a table that is made of one.
    asks = kind in (types.SELECT, types.EXPLAIN) or (
        kind == types.MULTI and words[0].upper() in ("PIVOT", "SELECT", "FROM", "WITH")
    )
    if not asks:
        raise BadInput(f"the store is only asked: {kind.name} is no query")


def table_without_rows(schema: pa.Schema) -> pa.Table:
    """Of no batch: Arrow's own way makes an array of a list, and the first of those imports pandas, which takes longer
    than what is asked of most stores."""
    return pa.Table.from_batches([], schema)
