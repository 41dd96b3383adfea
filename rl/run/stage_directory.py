"""One stage on disk: a directory that is the stage's own, and the manifest that says it is complete."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rl.run.metrics_log import MetricsLog
from rl.run.provenance import code_version, content_hash, describe_hardware, package_versions
from rl.run.results.manifest import VERSION
from rl.run.results.stage_result import StageResult
from rl.run.stopwatch import Stopwatch
from sampler.atomic_file import write_atomically
from verifiers.errors import HoneError

MANIFEST = "manifest.json"
CURSOR = "cursor.json"
TO_GO_ON = ("checkpoint-*", "best-*", CURSOR)  # what a stage with a cursor keeps until it is complete


class StageDirectory:
    """One stage: where it writes while it runs, and the manifest that says it is complete."""

    def __init__(self, run: Path, name: str, metrics: MetricsLog) -> None:
        self.name = name
        self.path = run / "stages" / name
        self.rollouts = run / "rollouts" / name
        self._run = run
        self._metrics = metrics

    @property
    def is_complete(self) -> bool:
        """By its manifest, which is written last."""
        return (self.path / MANIFEST).is_file()

    @property
    def has_checkpoint(self) -> bool:
        """By its cursor, which is written last too."""
        return (self.path / CURSOR).is_file()

    def manifest(self) -> dict[str, Any]:
        """Raises: HoneError where the stage is not complete or its manifest is damaged."""
        try:
            manifest: dict[str, Any] = json.loads((self.path / MANIFEST).read_text())
        except (OSError, ValueError) as error:
            raise HoneError(
                f"{self.path / MANIFEST} cannot be read ({error}); delete the stage's directory to "
                "run it again"
            ) from error
        return manifest

    def begin(self) -> None:
        """Clear whatever an interrupted attempt left: files, rollouts, lines of metrics."""
        for leftover in (self.path, self.rollouts):
            shutil.rmtree(leftover, ignore_errors=True)
        self.path.mkdir(parents=True)
        self._metrics.drop(self.name)

    def go_on(self) -> None:
        """Keep the whole shards and files of an interrupted attempt, and clear what it had not finished."""
        self.path.mkdir(parents=True, exist_ok=True)
        for unfinished in (*self.rollouts.glob(".*.tmp"), *self.path.glob(".*.tmp")):
            unfinished.unlink()

    def rewind(self, next_step: int) -> None:
        """Drop what an interrupted attempt wrote from ``next_step`` on: its rollouts and its lines of metrics."""
        for shard in self.rollouts.glob("step-*.parquet"):
            if int(shard.stem.removeprefix("step-")) >= next_step:
                shard.unlink()
        for unfinished in (*self.rollouts.glob(".*.tmp"), *self.path.glob(".*.tmp")):
            unfinished.unlink() if unfinished.is_file() else shutil.rmtree(unfinished)
        self._metrics.drop(self.name, from_step=next_step)

    def metrics(self) -> list[dict[str, float]]:
        """What this stage has logged so far, by step: also what a process before this one logged."""
        return self._metrics.of_stage(self.name)

    def complete(
        self,
        result: StageResult,
        *,
        title: str,
        round_index: int,
        started_at: float,
        watch: Stopwatch,
        inputs: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Write the manifest, by which the stage is done and never run again. ``started_at`` is of this process; times
        are of all that worked on it, but for what a kill has lost."""
        ended_at = time.time()
        manifest = {
            "stage": self.name,
            "kind": result.kind,
            "title": title,
            "round": round_index,
            "started_at": _iso(started_at),
            "ended_at": _iso(ended_at),
            "wall_s": watch.wall_s,
            "phase_s": dict(watch.seconds),
            "inputs": dict(inputs),
            "outputs": self._outputs(),
            "code_version": code_version(),
            "packages": package_versions(),
            "hardware": describe_hardware(),
            "result_version": VERSION,
            "result": result.to_json(self._run),
        }
        write_atomically(self.path / MANIFEST, json.dumps(manifest, indent=2, sort_keys=True))
        return manifest

    def drop_checkpoint(self) -> None:
        """The stage is complete: what it would have needed to go on is not needed any more. The cursor goes last."""
        for path in self._to_go_on():
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()

    def _to_go_on(self) -> list[Path]:
        """Of a stage with a cursor; another's files may have any name."""
        if not self.has_checkpoint:
            return []
        return [path for pattern in TO_GO_ON for path in self.path.glob(pattern)]

    def _outputs(self) -> dict[str, str]:
        files, dropped = sorted([*self.path.rglob("*"), *self.rollouts.rglob("*")]), {*self._to_go_on()}
        return {
            str(file.relative_to(self._run)): content_hash(file)
            for file in files
            if file.is_file() and dropped.isdisjoint([file, *file.parents])
        }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
