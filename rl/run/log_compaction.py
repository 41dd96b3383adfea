"""A run's rollout log made of few files, while nobody works in the run."""

from __future__ import annotations

from pathlib import Path

from rl.run.run_directory import hold
from rl.run.run_record import RunRecord
from sampler.store.compaction import Compaction, compact


def compact_run(path: Path) -> dict[str, Compaction]:
    """By stage what became of its log; only stages that are complete. The same again clears what a kill left.

    Raises: BadInput where there is no run, or a process is working in it; HoneError as `compact`."""
    run = RunRecord.open(path)
    lock = hold(run.path, "its log is compacted when it has ended or stopped")
    try:
        logs = {manifest["stage"]: run.path / "rollouts" / manifest["stage"] for manifest in run.manifests}
        return {
            stage: compact(log, run.path / "store" / "compacting" / stage)
            for stage, log in logs.items()
            if log.is_dir()
        }
    finally:
        lock.close()
