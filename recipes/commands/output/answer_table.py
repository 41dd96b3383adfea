"""The answer to a query: on the terminal, cut to what can be read there, or whole in a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.console import Console

MAX_ROWS = 200
MAX_COLUMNS, MAX_LISTED = 8, 10  # more columns stand below each other, of so many rows


def print_table(console: Console, found: pa.Table) -> None:
    """A row a line; where there are many columns a column a line, of the first rows."""
    from rich.table import Table

    from verifiers.verifier import shown

    if found.num_columns > MAX_COLUMNS:
        for row in found.slice(0, MAX_LISTED).to_pylist():
            for name, value in row.items():
                console.print(f"{name:24} {_cell(value, shown)}", highlight=False)
            console.print()
        if found.num_rows > MAX_LISTED:
            console.print(f"{found.num_rows - MAX_LISTED:,} more rows: --out FILE.parquet writes all")
        return
    table = Table()
    for name in found.column_names:
        table.add_column(name, overflow="fold")
    for row in found.slice(0, MAX_ROWS).to_pylist():
        table.add_row(*(_cell(value, shown) for value in row.values()))
    console.print(table)
    if found.num_rows > MAX_ROWS:
        console.print(f"{found.num_rows - MAX_ROWS:,} more rows: --out FILE.parquet writes all")


def _cell(value: Any, shown: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else shown(value, 60) if isinstance(value, str) else str(value)[:60]


def write_table(console: Console, out: Path, found: pa.Table, noun: str = "row") -> None:
    """As Parquet, whole or not at all; says where, and how many rows."""
    import pyarrow.parquet as pq

    from sampler.atomic_file import written_whole
    from verifiers.counted import counted

    with written_whole(out) as temporary:
        pq.write_table(found, temporary)
    console.print(f"{counted(found.num_rows, noun)} in {out}", soft_wrap=True)
