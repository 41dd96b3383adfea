"""Runs that are killed inside and between stages end as the run that was never killed, bit for bit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SHARED_MEMORY = Path("/dev/shm")
pytestmark = pytest.mark.timeout(1800)  # several starts in a row, on a machine that may be busy


def test_killed_runs_end_as_the_run_that_was_never_killed(
    undisturbed: Any, new_run: Callable[..., Any]
) -> None:
    """Four processes do what run A did alone: killed in SFT, between stages and in RL, a rollout worker lost."""
    killed: list[Any] = []

    # Inside SFT, after a checkpoint.
    run = new_run("killed").start()
    run.until_file("stages/*-sft-r0/cursor.json")
    run.kill()
    killed.append(run)
    assert [*run.manifests()] == ["00-prepare", "01-evaluate-r0"]

    # The rollout worker twice, while it samples and while it takes weights; then the driver between two stages.
    run = new_run("killed").start()
    run.until(lambda: "-rl-r0" in (run.run_dir / "metrics.jsonl").read_text())
    lost = lose_worker(run)
    (rank,) = run.actors("TrainerRank")
    sent = segments_of(rank.pid)
    run.until(lambda: segments_of(rank.pid) - sent)
    assert lose_worker(run) != lost
    run.until_file("stages/*-rl-r0/manifest.json")
    run.kill()
    killed.append(run)

    # Inside RL, after a checkpoint.
    run = new_run("killed").start()
    cursor = run.until_file("stages/*-rl-r1/cursor.json")
    run.kill()
    killed.append(run)
    assert json.loads(cursor.read_text())["next_step"] in (2, 4)
    assert left_in_shared_memory(run), (
        "a killed trainer leaves its weights behind, or the check below checks nothing"
    )

    run = new_run("killed").start()
    assert run.wait() == 0, run.text
    for one in (*killed, run):
        assert not one.survivors()
        assert not left_in_shared_memory(one)

    assert run.metrics() == undisturbed.metrics()
    assert run.rollouts() == undisturbed.rollouts()
    assert [*run.manifests()] == [*undisturbed.manifests()]
    for stage, manifest in run.manifests().items():
        other = undisturbed.manifests()[stage]
        assert without_clock(manifest["result"]) == without_clock(other["result"]), stage
        assert weights(manifest) == weights(other), stage
    assert (run.run_dir / "policy").resolve().name == "policy"
    assert not list(run.run_dir.rglob("*.tmp")) and not list(run.run_dir.rglob("checkpoint-*"))


def without_clock(result: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name != "tokens_per_s"}


def weights(manifest: dict[str, Any]) -> dict[str, str]:
    """Content hashes of everything a stage left, pictures, rows and weights, but the log of its rollouts."""
    return {path: digest for path, digest in manifest["outputs"].items() if not path.startswith("rollouts/")}


def lose_worker(run: Any) -> int:
    """`kill -9` of the rollout worker, and wait until another has taken its place. Returns the id of the lost one."""
    (worker,) = run.actors("RolloutWorker")
    worker.kill()
    run.until(lambda: [other for other in run.actors("RolloutWorker") if other.pid != worker.pid])
    return worker.pid


def segments_of(pid: int) -> set[Path]:
    """Weights in shared memory; the name begins with the writer's process id."""
    return set(SHARED_MEMORY.glob(f"hone-weights-*-{pid}-*"))


def left_in_shared_memory(run: Any) -> set[Path]:
    return {path for process in run.seen for path in segments_of(process.pid)}
