"""`kill -9` again and again while a rollout log is written and compacted: is it ever unreadable, doubled or torn?

python -m tools.kill_store run FOLDER --times 200
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sampler.atomic_file import written_whole
from sampler.store.compaction import compact
from sampler.store.log_schema import SCHEMA, require_readable
from sampler.store.prompt_store import PromptStore, StorePart

ROWS = 64  # of a step


@dataclass(frozen=True)
class Log:
    """A log whose rows can be told whole: each says which it is, and a hash of that."""

    run: Path

    @property
    def folder(self) -> Path:
        return self.run / "rollouts" / "01-rl-r0"

    def shards(self) -> list[Path]:
        return sorted(self.folder.glob("*.parquet"))

    def write(self, step: int) -> None:
        rows = [
            {"rollout_id": f"{step}-{i}", "step": step, "index": i, "response": _hash(step, i), "prompt_id": f"p{i}",
             "policy_version": step, "verifier": "math", "reward": float(i % 2)}
            for i in range(ROWS)
        ]  # fmt: skip
        with written_whole(self.folder / f"step-{step:05d}.parquet") as temporary:
            pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), temporary)

    def compact(self) -> None:
        compact(self.folder, self.run / "store" / "compacting" / "01-rl-r0", max_bytes=200_000)

    def check(self) -> None:
        """Raises: AssertionError where a step is missing before the last, a row is there twice or not whole; whatever
        reading raises."""
        require_readable(self.shards())
        rows = [row for shard in self.shards() for row in pq.ParquetFile(shard).read().to_pylist()]
        ids = [(row["step"], row["index"]) for row in rows]
        num_steps = 1 + max((step for step, _ in ids), default=-1)
        assert ids == [(step, i) for step in range(num_steps) for i in range(ROWS)], (
            "rows are missing or doubled"
        )
        assert all(row["response"] == _hash(row["step"], row["index"]) for row in rows), "a row is torn"
        if rows:
            part = StorePart("run", self.shards(), {}, summary_file=self.run / "store" / "attempts.parquet")
            with PromptStore([part]) as store:
                (found,) = store.query(
                    "SELECT sum(n)::BIGINT AS n, count(*) AS num FROM attempts"
                ).to_pylist()
            assert found == {"n": len(rows), "num": len(rows)}, "the counts are not those of the rows"

    def num_steps(self) -> int:
        """Also while the log is compacted: what was listed may be gone, and then other files hold it."""
        while True:
            with suppress(FileNotFoundError):
                return sum(pq.read_metadata(shard).num_rows for shard in self.shards()) // ROWS

    def work(self) -> None:
        """Write without end, and compact and count in between; go on where a kill left it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for unfinished in self.folder.glob(".*.tmp"):
            unfinished.unlink()
        for step in count(self.num_steps()):
            self.write(step)
            if step % 4 == 3:
                self.compact()
            if step % 6 == 5:
                self.check()


def _hash(step: int, index: int) -> str:
    return hashlib.sha256(f"{step} {index}".encode()).hexdigest() * 8


def kill_again_and_again(folder: Path, times: int, seed: int) -> None:
    """Raises: AssertionError and others as `Log.check`."""
    log, rng = Log(folder), random.Random(seed)
    for number in range(1, times + 1):
        worker = subprocess.Popen([sys.executable, "-m", "tools.kill_store", "work", str(folder)])
        before, deadline = log.num_steps(), time.monotonic() + 60
        while log.num_steps() == before and worker.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert worker.poll() is None, "the worker failed"
        time.sleep(rng.random() * 0.5)
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        log.check()
        print(f"{number} kills, {log.num_steps():,} steps in {len(log.shards()):,} files", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("run", "work"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    if asked.what == "work":
        Log(asked.folder).work()
    kill_again_and_again(asked.folder, asked.times, asked.seed)


if __name__ == "__main__":
    main()
