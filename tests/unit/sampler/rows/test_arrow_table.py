"""One huge row group: nothing reads it whole, and its cells are found again at once."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sampler.rows.dataset_rows import dataset_rows
from sampler.rows.row import RowAddress
from verifiers.errors import BadInput

PICTURES = [os.urandom(2**14) for _ in range(6 * 2**10)]  # a page holds 1,024 of them


@pytest.fixture
def one_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rows = [{"messages": str(n), "images": [{"bytes": one, "path": None}]} for n, one in enumerate(PICTURES)]
    path = tmp_path / "set.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=len(rows))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return path


@pytest.fixture
def pool() -> Iterator[pa.MemoryPool]:
    """Counts what Arrow holds."""
    before = pa.default_memory_pool()
    counting = pa.proxy_memory_pool(before)
    pa.set_memory_pool(counting)
    yield counting
    pa.set_memory_pool(before)


def test_rows_and_cells_of_a_huge_group_are_read_in_pieces(one_group: Path, pool: pa.MemoryPool) -> None:
    addresses: list[RowAddress | None] = []
    for row in dataset_rows(one_group):
        assert row.values["images"][0]["bytes"] == PICTURES[len(addresses)]
        addresses.append(row.address)
    for number in (6143, 0, 50, 51):
        address = addresses[number]
        assert address is not None
        assert address.value("images")[0]["bytes"] == PICTURES[number]
    assert 2**20 < pool.max_memory() < 48 * 2**20 < sum(map(len, PICTURES))
    (copy,) = (one_group.parent / f"hone-{os.getuid()}").glob("*.parquet")
    assert pq.read_metadata(copy).num_row_groups > 10


def test_a_disk_without_room_for_the_copy_is_said(one_group: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**9))
    with pytest.raises(BadInput, match=r"row 4: cannot be read again: .*row_group_size=100, or set TMPDIR"):
        RowAddress(str(one_group), 3).value("images")
