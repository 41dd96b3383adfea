"""Names and files as SQL says them."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from verifiers.errors import BadInput

_EXPLAIN = re.compile(
    r"^\s*EXPLAIN\b(?:\s*ANALY[SZ]E\b)?(?:\s*\(\s*(?:ANALY[SZ]E|FORMAT)\b[^()]*\))?", re.IGNORECASE
)
_WRITES = frozenset({"COPY", "DELETE", "INSERT", "MERGE", "UPDATE"})


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
    kind, asked = statements[0].type, _EXPLAIN.sub("", statements[0].query)
    if word := _writing_word(asked):
        raise BadInput(f"the store is only asked: {word} writes (a name of these letters stands in quotes)")
    try:
        # A table is made of a query alone; here it is only parsed.
        duckdb.extract_statements(f"CREATE TABLE made AS {asked}")
    except duckdb.ParserException:
        types = duckdb.StatementType
        named = "this" if kind in (types.MULTI, types.EXPLAIN) else kind.name
        raise BadInput(f"the store is only asked: {named} is no query") from None


def _writing_word(sql: str) -> str:
    """One that begins what writes, or none: DuckDB lets it stand in a query's WITH."""
    import duckdb

    text, tokens = sql.encode(), duckdb.tokenize(sql)  # these are numbered by bytes
    ends = [place for place, _ in tokens[1:]] + [len(text)]
    words = (
        text[place:end].decode().strip().upper()
        for (place, kind), end in zip(tokens, ends, strict=True)
        if kind == duckdb.token_type.keyword
    )
    return next((word for word in words if word in _WRITES), "")


def table_without_rows(schema: pa.Schema) -> pa.Table:
    """Of no batch: Arrow's own way makes an array of a list, and the first of those imports pandas, which takes longer
    than what is asked of most stores."""
    return pa.Table.from_batches([], schema)
