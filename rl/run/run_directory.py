"""The run on disk: a directory per stage with a manifest, metrics, rollouts, logs. Everything appears whole or not.

runs/NAME/
  recipe.yaml                       resolved
  stages/03-rl-r0/manifest.json     inputs and outputs by content hash; written last, so it means "complete"
  stages/03-rl-r0/policy/           hub layout, for use;  checkpoint/: DeepSpeed's, for going on
  rollouts/03-rl-r0/*.parquet       every judged rollout
  metrics.jsonl                     one line a step
"""

from __future__ import annotations

import fcntl
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import yaml
from pydantic import ValidationError

from rl.recipe.recipe import Recipe
from rl.run.atomic_file import write_atomically
from rl.run.provenance import code_version, content_hash, describe_hardware, package_versions
from rl.run.stopwatch import Stopwatch
from verifiers.errors import BadInput, HoneError

MANIFEST = "manifest.json"


class StageDirectory:
    """One stage: where it writes while it runs, and the manifest that says it is complete."""

    def __init__(self, run: RunDirectory, name: str) -> None:
        self.run = run
        self.name = name
        self.path = run.path / "stages" / name
        self.rollouts = run.path / "rollouts" / name

    @property
    def is_complete(self) -> bool:
        """By its manifest, which is written last."""
        return (self.path / MANIFEST).is_file()

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
        self.run.drop_metrics(self.name)

    def rewind(self, next_step: int) -> None:
        """Drop what an interrupted attempt wrote from ``next_step`` on: its rollouts and its lines of metrics."""
        for shard in self.rollouts.glob("step-*.parquet"):
            if int(shard.stem.removeprefix("step-")) >= next_step:
                shard.unlink()
        for unfinished in self.rollouts.glob(".*.tmp"):
            unfinished.unlink()
        self.run.drop_metrics(self.name, from_step=next_step)

    def metrics(self) -> list[dict[str, float]]:
        """What this stage has logged so far, by step: also what a process before this one logged."""
        return self.run.metrics_of(self.name)

    def complete(
        self,
        *,
        kind: str,
        title: str,
        round_index: int,
        started_at: float,
        watch: Stopwatch,
        inputs: Mapping[str, Any],
        result: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Write the manifest, by which the stage is done and never run again."""
        ended_at = time.time()
        manifest = {
            "stage": self.name,
            "kind": kind,
            "title": title,
            "round": round_index,
            "started_at": _iso(started_at),
            "ended_at": _iso(ended_at),
            "wall_s": ended_at - started_at,
            "phase_s": dict(watch.seconds),
            "inputs": dict(inputs),
            "outputs": self._outputs(),
            "code_version": code_version(),
            "packages": package_versions(),
            "hardware": describe_hardware(),
            "result": dict(result),
        }
        write_atomically(self.path / MANIFEST, json.dumps(manifest, indent=2, sort_keys=True))
        return manifest

    def _outputs(self) -> dict[str, str]:
        files = [*self.path.rglob("*"), *self.rollouts.rglob("*")]
        return {
            str(file.relative_to(self.run.path)): content_hash(file)
            for file in sorted(files)
            if file.is_file()
        }


class RunDirectory:
    """A run's directory, held by one process at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.logs = self.path / "logs"
        self._lock: BinaryIO | None = None

    def open(self, recipe_yaml: str) -> None:
        """Create or take up the run. Raises: BadInput when it belongs to another recipe or process."""
        for directory in (self.path, self.path / "stages", self.logs):
            directory.mkdir(parents=True, exist_ok=True)
        lock = (self.path / ".lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise BadInput(
                f"another process is working in {self.path.name}: wait for it, or give another name="
            ) from None
        self._lock = lock
        kept = self.path / "recipe.yaml"
        begun = any((self.path / "stages").glob(f"*/{MANIFEST}"))  # before that a recipe may still be mended
        change = _first_change(kept.read_text(), recipe_yaml) if begun and kept.exists() else None
        if change is not None:
            self.close()
            raise BadInput(
                f"run {self.path.name} was started with another recipe ({change}): "
                f"take the old value back, give the run another name=, or delete {self.path} to begin anew"
            )
        write_atomically(kept, recipe_yaml)

    def close(self) -> None:
        """Let another process open the run."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def stage(self, name: str) -> StageDirectory:
        return StageDirectory(self, name)

    def manifests(self) -> list[dict[str, Any]]:
        """Of the complete stages, in order."""
        return [json.loads(file.read_text()) for file in sorted((self.path / "stages").glob(f"*/{MANIFEST}"))]

    def log_metrics(
        self, *, stage: str, kind: str, round_index: int, step: int, metrics: Mapping[str, float]
    ) -> None:
        """Append one step's metrics as one line."""
        line = json.dumps(
            {
                "stage": stage,
                "kind": kind,
                "round": round_index,
                "step": step,
                "time": time.time(),
                "metrics": {name: float(value) for name, value in metrics.items()},
            }
        )
        with (self.path / "metrics.jsonl").open("a") as file:
            file.write(line + "\n")

    def metrics_of(self, stage: str) -> list[dict[str, float]]:
        """The metrics of a stage's steps, in order."""
        file = self.path / "metrics.jsonl"
        lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return [
            line["metrics"] for line in sorted(lines, key=lambda line: line["step"]) if line["stage"] == stage
        ]

    def drop_metrics(self, stage: str, from_step: int = 0) -> None:
        """Remove a stage's lines from a step on, and a last line cut short by a kill."""
        file = self.path / "metrics.jsonl"
        if not file.exists():
            return
        kept = []
        for line in file.read_text().splitlines():
            try:
                read = json.loads(line)
                if read["stage"] != stage or read["step"] < from_step:
                    kept.append(line + "\n")
            except (ValueError, KeyError):
                continue
        write_atomically(file, "".join(kept))


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _first_change(kept: str, given: str) -> str | None:
    """The first value that differs between two resolved recipes. A key that an older Hone did not have is no change
    where it stands at its default."""
    old, new = (dict(_leaves(_with_defaults(yaml.safe_load(text)))) for text in (kept, given))
    for key in (*new, *old):
        before, after = old.get(key, "nothing"), new.get(key, "nothing")
        if before != after:
            return f"{key} was {before} and is now {after}"
    return None


def _with_defaults(recipe: Any) -> Any:
    """Every key of a recipe; as it is where it is none by today's rules."""
    try:
        return Recipe.model_validate(recipe).model_dump(mode="json")
    except ValidationError:
        return recipe


def _leaves(tree: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a recipe with its dotted key."""
    if not isinstance(tree, dict) or (not tree and key):
        yield key, tree
        return
    for name, value in tree.items():
        yield from _leaves(value, f"{key}.{name}" if key else str(name))
