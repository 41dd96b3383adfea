"""Compaction: the same rows in fewer files, old and strange columns included; the old or the new is seen."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import sampler.store.compaction as module
from sampler.atomic_file import exchange
from sampler.store.compaction import MADE_OF, Compaction, compact
from sampler.store.decisions.event_log import EventLog
from sampler.store.log_schema import SCHEMA
from sampler.store.prompt_store import PromptStore, StorePart
from tools.kill_store import Log
from verifiers.errors import HoneError


def write(log: Path, step: int, num: int = 3, **more: object) -> list[dict[str, object]]:
    rows = [{"rollout_id": f"{step}-{i}", "step": step, "reward": 1.0, **more} for i in range(num)]
    log.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), log / f"step-{step:05d}.parquet")
    return rows


def rows_of(log: Path) -> list[dict[str, object]]:
    return [row for file in sorted(log.glob("*.parquet")) for row in pq.ParquetFile(file).read().to_pylist()]


def test_the_same_rows_in_one_file(tmp_path: Path) -> None:
    log, scratch = tmp_path / "01-rl", tmp_path / "store" / "01-rl"
    rows = [row for step in range(5) for row in write(log, step, **({"own": "x"} if step == 3 else {}))]
    (log / "notes.txt").write_text("mine")
    hashes = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in log.glob("*.parquet")}
    assert compact(log, scratch) == Compaction(5, 1, 15)
    (file,) = log.glob("*.parquet")
    assert file.name == "step-00000-00004.parquet" and (log / "notes.txt").read_text() == "mine"
    found = rows_of(log)
    assert [{**dict.fromkeys([*SCHEMA.names, "own"]), **row} for row in rows] == found
    metadata = pq.read_schema(file).metadata | (pq.read_metadata(file).metadata or {})
    assert json.loads(metadata[MADE_OF]) == hashes
    assert compact(log, scratch) == Compaction(1, 1) and not scratch.exists()
    write(log, 5)
    assert compact(log, scratch) == Compaction(2, 1, 18)
    assert [file.name for file in log.glob("*.parquet")] == ["step-00000-00005.parquet"]


def test_files_do_not_grow_without_end(tmp_path: Path) -> None:
    log = tmp_path / "01-rl"
    for step in range(6):
        write(log, step)
    before, size = rows_of(log), (log / "step-00000.parquet").stat().st_size
    assert compact(log, tmp_path / "scratch", max_bytes=2 * size).num_after == 3
    assert [row["rollout_id"] for row in rows_of(log)] == [row["rollout_id"] for row in before]


def test_a_kill_in_between_leaves_the_old_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it left is cleared; a disk that cannot exchange folders is named."""
    log, scratch = tmp_path / "01-rl", tmp_path / "scratch"
    for step in range(3):
        write(log, step)
    before = rows_of(log)

    def refuse(*_: object) -> None:
        raise OSError(22, "Invalid argument")

    with monkeypatch.context() as patched:
        patched.setattr(module, "exchange", refuse)
        with pytest.raises(HoneError, match="cannot exchange two folders at one moment"):
            compact(log, scratch)
    assert rows_of(log) == before and len(list(log.iterdir())) == 3
    assert compact(log, scratch).num_after == 1 and not scratch.exists()


def test_a_store_that_is_open_goes_on(part: Callable[..., StorePart], tmp_path: Path) -> None:
    """Its files are gone: it looks again, and answers the same."""
    one = part("run", [("a", 1, [1.0, 0.0]), ("b", 1, [1.0])])
    log = one.rollout_files[0].parent
    one.rollout_files[0].rename(log / "step-00000.parquet")
    write(log, 1, prompt_id="c", verifier="math", policy_version=2)

    def relist() -> StorePart:
        return replace(one, rollout_files=sorted(log.glob("step-*.parquet")), relist=relist)

    with PromptStore([relist()]) as store:
        count = "SELECT count(*) AS num, count(DISTINCT prompt_id) AS prompts FROM rollouts"
        before = store.query(count).to_pylist()
        compact(log, tmp_path / "scratch")
        assert store.query(count).to_pylist() == before == [{"num": 6, "prompts": 3}]
        assert store.query("SELECT sum(n) AS n FROM attempts").to_pylist() == [{"n": 6}]
    with PromptStore([relist()]) as store:
        write(log, 2, prompt_id="c", verifier="math", policy_version=3)
        compact(log, tmp_path / "scratch")
        assert [file.name for file in store.shards_of("run", "c")] == ["step-00000-00002.parquet"]


def test_answers_of_one_prompt_are_read_from_the_files_that_hold_it(
    part: Callable[..., StorePart], tmp_path: Path
) -> None:
    one = part("run", [("a", 1, [1.0, 0.0]), ("b", 1, [1.0])])
    log = one.rollout_files[0].parent
    write(log, 1, prompt_id="c", verifier="math", policy_version=2)
    files = [*one.rollout_files, *log.glob("step-*.parquet")]
    EventLog(log / "events.jsonl").append("a", "correct", "7", author="me")
    with PromptStore(
        [replace(one, rollout_files=files).with_events(EventLog(log / "events.jsonl"))]
    ) as store:
        for name, num in (("a", 2), ("c", 3), ("d", 0)):
            expected = store.query("SELECT * FROM answers_in_force WHERE prompt_id = ?", [name])
            found = store.answers_of("run", name)
            assert found.num_rows == num and found.to_pylist() == expected.to_pylist()
        files[1].write_bytes(b"PAR1 and no more")
        assert store.answers_of("run", "a").num_rows == 2


def test_who_reads_meanwhile_sees_the_old_or_the_new(tmp_path: Path) -> None:
    """While a log is compacted and put back as it was, again and again."""
    log, scratch = tmp_path / "01-rl", tmp_path / "scratch"
    for step in range(8):
        write(log, step, prompt_id="a", verifier="math", policy_version=step)
    shutil.copytree(log, tmp_path / "as it was")
    seen: list[int] = []
    done = threading.Event()

    def relist() -> StorePart:
        return StorePart("run", sorted(log.glob("step-*.parquet")), {}, relist=relist)

    def read() -> None:
        while not done.is_set():
            with PromptStore([relist()]) as store:
                for view, column in (("rollouts", "count(*)"), ("attempts", "sum(n)::BIGINT")):
                    seen.append(store.query(f"SELECT {column} AS num FROM {view}")["num"][0].as_py())

    with ThreadPoolExecutor(1) as reader:
        reading = reader.submit(read)
        _compact_again_and_again(log, scratch, tmp_path / "as it was")
        done.set()
        reading.result()
    assert set(seen) == {24} and len(seen) > 3


def _compact_again_and_again(log: Path, scratch: Path, before: Path) -> None:
    for _ in range(6):
        time.sleep(0.3)
        assert compact(log, scratch).num_after == 1
        time.sleep(0.3)
        shutil.copytree(before, scratch)
        exchange(scratch, log)
        shutil.rmtree(scratch)


@pytest.mark.parametrize("seed", range(2))
def test_kill_9_while_writing_and_compacting(tmp_path: Path, seed: int) -> None:
    """`tools/kill_store.py` does it 200 times."""
    log = Log(tmp_path / "run")
    for turn in range(4):
        command = [sys.executable, "-m", "tools.kill_store", "work", str(log.run)]
        worker = subprocess.Popen(command)
        deadline = time.monotonic() + 60
        while not log.shards() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05 + 0.11 * ((seed + 3 * turn) % 5))
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        log.check()
    assert log.num_steps() > 0
