"""One huge row group: nothing reads it whole, and its cells are found again at once."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sampler.rows.row import RowAddress
from verifiers.errors import BadInput

PICTURES = [os.urandom(2**14) for _ in range(6 * 2**10)]  # a page holds 1,024 of them

READS = """
import hashlib, resource, sys, pyarrow.parquet
from sampler.rows.dataset_rows import dataset_rows
def held(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
before = held()
addresses = [row.address for row in dataset_rows(sys.argv[1]) if len(row.values["images"][0]["bytes"]) == 2**14]
for number in (6143, 0, 50):
    print(hashlib.sha256(addresses[number].value("images")[0]["bytes"]).hexdigest())
print(held() - before)
"""


@pytest.fixture
def one_group(tmp_path: Path) -> Path:
    rows = [{"messages": str(n), "images": [{"bytes": one, "path": None}]} for n, one in enumerate(PICTURES)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "set.parquet", row_group_size=len(rows))
    return tmp_path / "set.parquet"


def test_rows_and_cells_of_a_huge_group_are_read_in_pieces(one_group: Path) -> None:
    environment = os.environ | {"TMPDIR": str(one_group.parent)}
    command = [sys.executable, "-c", READS, str(one_group)]
    *found, grown_mib = subprocess.check_output(
        command, env=environment, cwd=Path(__file__).parents[4]
    ).split()
    assert [hashlib.sha256(PICTURES[number]).hexdigest().encode() for number in (6143, 0, 50)] == found
    assert int(grown_mib) < 80 < sum(map(len, PICTURES)) / 2**20
    (copy,) = (one_group.parent / f"hone-{os.getuid()}").glob("*.parquet")
    assert pq.read_metadata(copy).num_row_groups > 10


def test_a_disk_without_room_for_the_copy_is_said(one_group: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(one_group.parent))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**9))
    with pytest.raises(BadInput, match=r"row 4: cannot be read again: .*row_group_size=100, or set TMPDIR"):
        RowAddress(str(one_group), 3).value("images")
