"""Whole programs through `hone run`, each in a session of its own, and run A, which nobody disturbs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import psutil
import pytest

from tools.run_digest import metric_lines, rollout_rows

HERE = Path(__file__).parent
DATA = HERE.parents[1] / "data"
START_S = 500.0  # a start takes 30 s on two idle cores; a busy machine may take ten times as long
POLL_S = 0.02


@dataclass
class HoneRun:
    """One `hone run` process. Everything it starts is found by the chain of parents or a mark in the environment."""

    run_dir: Path
    overrides: tuple[str, ...] = ()
    recipe: str = "tiny_program"
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    process: subprocess.Popen[bytes] | None = None
    seen: set[psutil.Process] = field(default_factory=set)

    @property
    def output(self) -> Path:
        return self.run_dir.parent / f"{self.run_dir.name}.{self.mark}.out"

    @property
    def text(self) -> str:
        return self.output.read_text()

    def start(self) -> HoneRun:
        command = [
            sys.executable,
            "-m",
            "recipes",
            "run",
            str(DATA / f"{self.recipe}.yaml"),
            f"run_dir={self.run_dir}",
            *self.overrides,
        ]
        paths = (str(HERE / "plugins"), os.environ.get("PYTHONPATH"))
        environment = {
            **os.environ,
            "HONE_TEST_MARK": self.mark,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "RAY_worker_niceness": "0",  # Ray's own choice is 15, behind everything else the machine does
        }
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(
                command, cwd=HERE.parents[2], env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                start_new_session=True,
            )  # fmt: skip
        return self

    def wait(self, timeout_s: float = START_S) -> int:
        """Exit status. A run that does not end is a failure that shows what it said."""
        assert self.process is not None
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.fail(f"`hone run` has not ended after {timeout_s:.0f} s")

    def until(self, moment: Callable[[], Any], timeout_s: float = START_S) -> Any:
        """Wait for a moment in the life of the run, told by its files; returns what `moment` found."""
        assert self.process is not None
        deadline = time.monotonic() + timeout_s
        while not (found := moment()):
            if self.process.poll() is not None:
                self.fail(f"the run ended with {self.process.returncode} before the moment came")
            if time.monotonic() > deadline:
                self.fail(f"the moment did not come within {timeout_s:.0f} s")
            time.sleep(POLL_S)
        return found

    def fail(self, why: str) -> NoReturn:
        """End the run, so that it takes no time from the tests after it, and show what it said."""
        self.clean_up()
        pytest.fail(f"{why}:\n{self.text}")

    def until_file(self, pattern: str) -> Path:
        return self.until(lambda: next(iter(sorted(self.run_dir.glob(pattern))), None))

    def family(self) -> set[psutil.Process]:
        """Every process of this run that lives: descendants now and before, and whoever carries the mark."""
        assert self.process is not None
        with suppress(psutil.NoSuchProcess):
            self.seen |= set(psutil.Process(self.process.pid).children(recursive=True))
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.environ().get("HONE_TEST_MARK") == self.mark:
                    self.seen.add(process)
        alive = set()
        for process in self.seen:
            with suppress(psutil.NoSuchProcess):
                if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                    alive.add(process)
        return alive

    def actors(self, name: str) -> list[psutil.Process]:
        """Ray actors of this run whose class has this name; Ray writes it into their title."""
        found = []
        for process in self.family():
            with suppress(psutil.Error):
                if f"ray::{name}" in " ".join(process.cmdline()):
                    found.append(process)
        return found

    def kill(self) -> None:
        """`kill -9` of the driver alone, as the kernel or a careless colleague does it."""
        assert self.process is not None
        self.family()
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def survivors(self, patience_s: float = 60.0) -> list[str]:
        """What of a dead run still lives after a while, in words."""
        deadline = time.monotonic() + patience_s
        while (alive := self.family()) and time.monotonic() < deadline:
            time.sleep(0.2)
        words = []
        for process in alive:
            with suppress(psutil.Error):
                words.append(f"{process.pid} {' '.join(process.cmdline())[:120]}")
        return words

    def clean_up(self) -> None:
        """End what is left of this run, each by its own id."""
        if self.process is None:
            return
        for process in {
            *self.family(),
            *([psutil.Process(self.process.pid)] if self.process.poll() is None else []),
        }:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()

    # What it left

    def manifests(self) -> dict[str, dict[str, Any]]:
        files = sorted(self.run_dir.glob("stages/*/manifest.json"))
        return {file.parent.name: json.loads(file.read_text()) for file in files}

    def metrics(self) -> dict[tuple[str, int], dict[str, float]]:
        """By stage and step, without what a clock had a hand in. A step logged twice is an error."""
        steps: dict[tuple[str, int], dict[str, float]] = {}
        for line in metric_lines(self.run_dir):
            key = (line["stage"], line["step"])
            assert key not in steps, f"{key} was logged twice"
            steps[key] = line["metrics"]
        return steps

    def rollouts(self) -> dict[str, dict[str, Any]]:
        """Every logged rollout by its id, without the seconds its verdict took. One logged twice is an error."""
        rows: dict[str, dict[str, Any]] = {}
        for row in rollout_rows(self.run_dir):
            assert row["rollout_id"] not in rows, f"{row['rollout_id']} is in the log twice"
            rows[row["rollout_id"]] = row
        return rows


@pytest.fixture(scope="session")
def new_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., HoneRun]]:
    """Makes runs; whatever of them still lives at the end is ended."""
    made: list[HoneRun] = []

    def make(name: str, *overrides: str, recipe: str = "tiny_program") -> HoneRun:
        made.append(HoneRun(tmp_path_factory.getbasetemp() / name, overrides, recipe))
        return made[-1]

    yield make
    for run in made:
        run.clean_up()


@pytest.fixture(scope="session")
def undisturbed(new_run: Callable[..., HoneRun]) -> HoneRun:
    """Run A: the tiny program from beginning to end."""
    run = new_run("undisturbed").start()
    status = run.wait()
    assert status == 0, run.text
    return run
