"""The run on disk: a directory per stage with a manifest, metrics, rollouts, logs. Everything appears whole or not.

runs/NAME/
  recipe.yaml                       resolved
  stages/03-rl-r0/manifest.json     inputs and outputs by content hash; written last, so it means "complete"
  stages/03-rl-r0/policy/           hub layout, for use;  checkpoint/: DeepSpeed's, for going on
  rollouts/03-rl-r0/*.parquet       every judged rollout
  metrics.jsonl, tensorboard/       one line a step, and the same as curves
  progress.json                     what the stage at work has come to: ``rl.run.progress_file``
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import yaml
from pydantic import ValidationError

from rl.recipe.recipe import Recipe
from rl.recipe.run_config import MetricsConfig
from rl.run import progress_file
from rl.run.boundary.engine_failure import refusal
from rl.run.metrics_log import MetricsLog, sinks_of
from rl.run.results.manifest import read_manifests
from rl.run.stage_directory import MANIFEST, StageDirectory
from sampler.atomic_file import write_atomically
from verifiers.errors import BadInput

CHANGES_NOTHING = (
    "metrics.",
    "sync.tolerance",
    "run_dir",
    "profile.shown",  # a stage more
)  # keys with no hand in what a run learns; it may be moved


LOCK, LOOK_S = ".lock", 0.2
MOST_NAMED = 5  # changed keys, where a run refuses another recipe


class RunDirectory:
    """A run's directory, held by one process at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.logs = self.path / "logs"
        self.metrics = MetricsLog(self.path)
        self._lock: BinaryIO | None = None

    def open(self, recipe_yaml: str, *, other_key: str = "name=") -> None:
        """Create or take up the run. Raises: BadInput when it belongs to another recipe or process, or asks for a
        sink of metrics that is not installed. ``other_key`` is what gives a run another directory."""
        settings = yaml.safe_load(recipe_yaml).get("metrics")
        sinks = sinks_of(MetricsConfig.model_validate(settings), self.path) if settings is not None else []
        try:
            for directory in (self.path, self.path / "stages", self.logs):
                directory.mkdir(parents=True, exist_ok=True)
            write_atomically(
                self.logs / ".probe", "x"
            )  # a folder that is there may be full, or somebody else's
            (self.logs / ".probe").unlink()
            self._lock = hold(self.path, f"wait for it, or give another {other_key}")
        except OSError as why:
            raise BadInput(
                f"the run directory {self.path} cannot be used ({refusal(why)}): change that, or give another run_dir="
            ) from None
        for unfinished in self.path.glob(
            ".*.tmp"
        ):  # of a process that was killed: the lock says that it is gone
            if not unfinished.name.startswith(".report."):  # which anybody may be writing
                unfinished.unlink()
        with suppress(OSError):
            (self.path / progress_file.FILE).unlink(missing_ok=True)  # what such a process told last
        try:
            self.require_recipe(recipe_yaml, other_key=other_key)
        except BadInput:
            self.close()
            raise
        write_atomically(self.path / "recipe.yaml", recipe_yaml)
        self.metrics.send_to(sinks)

    def require_recipe(self, recipe_yaml: str, *, other_key: str = "name=") -> None:
        """Raises: BadInput where a stage of another recipe is complete; before that a recipe may still be mended."""
        kept = self.path / "recipe.yaml"
        if not kept.exists() or not any((self.path / "stages").glob(f"*/{MANIFEST}")):
            return
        changes = _changes(kept.read_text(), recipe_yaml)
        if not changes:
            return
        more = [f"{len(changes) - MOST_NAMED} more"] if len(changes) > MOST_NAMED else []
        said = "; ".join([*changes[:MOST_NAMED], *more])
        was_named = any(change.startswith("name ") for change in changes)
        moved = " (a run that was moved is named by run_dir= alone)" if was_named else ""
        values = "value" if len(changes) == 1 else "values"
        raise BadInput(
            f"run {self.path.name} was started with another recipe ({said}): take the old {values} back{moved}, "
            f"give the run another {other_key}, or delete {self.path} to begin anew"
        )

    def close(self) -> None:
        """Let another process open the run."""
        self.metrics.close()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def stage(self, name: str) -> StageDirectory:
        return StageDirectory(self.path, name, self.metrics)

    def manifests(self) -> list[dict[str, Any]]:
        """Of the complete stages, in order."""
        return read_manifests(self.path)


def hold(path: Path, instead: str) -> BinaryIO:
    """Keep other processes from working in a run until the file is closed. Raises: BadInput, which says what to do
    ``instead``, where one is working; OSError where the folder may not be written, or its file system has no locks."""
    lock = (path / LOCK).open("ab")
    for tries_left in (1, 0):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if not tries_left:
                lock.close()
                raise BadInput(f"another process is working in {path.name}: {instead}") from None
            time.sleep(LOOK_S)
        except OSError:
            lock.close()
            raise
    return lock


def is_held(path: Path) -> bool:
    """Whether a process works in a run. It looks for a moment: ``hold`` waits out such a look."""
    try:
        with (path / LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _changes(kept: str, given: str) -> list[str]:
    """The values that differ between two resolved recipes. A key that an older Hone did not have is no change where
    it stands at its default; nor is one that changes nothing learnt."""
    old, new = (dict(_leaves(_with_defaults(yaml.safe_load(text)))) for text in (kept, given))
    values = {key: (old.get(key, "nothing"), new.get(key, "nothing")) for key in (*new, *old)}
    return [
        f"{key} was {before} and is now {after}"
        for key, (before, after) in values.items()
        if before != after and not key.startswith(CHANGES_NOTHING)
    ]


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
