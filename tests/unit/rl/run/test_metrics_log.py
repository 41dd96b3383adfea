"""Figures of every step: one file, and sinks in which a step taken again does not stand twice."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rl.recipe.run_config import MetricsConfig
from rl.run.metrics_log import MetricsLog, read_metrics, sinks_of
from rl.run.run_directory import RunDirectory
from verifiers.errors import BadInput

RECIPE = "name: a\nseed: 1\nmetrics: {tensorboard: true, wandb_project: null}\n"
STAGE = "03-rl-r0"


def opened(path: Path) -> RunDirectory:
    run = RunDirectory(path)
    run.open(RECIPE)
    return run


def log(log: MetricsLog, *steps: int, stage: str = STAGE) -> None:
    for step in steps:
        log.append(
            stage=stage,
            kind="rl",
            round_index=0,
            step=step,
            metrics={"train/loss": step / 4, "rollout/reward_mean": -1.0},
        )


def curve(run: Path, tag: str = "train/loss", stage: str = STAGE) -> list[tuple[int, float]]:
    """What TensorBoard itself reads back, every point of it."""
    events = EventAccumulator(
        str(run / "tensorboard" / stage), size_guidance={"scalars": 0}, purge_orphaned_data=False
    ).Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


def test_tensorboard_reads_back_every_step_of_every_stage(tmp_path: Path) -> None:
    run = opened(tmp_path / "run")
    log(run.metrics, 0, 1, 2)
    log(run.metrics, 0, stage="04-evaluate")
    assert curve(run.path) == [(0, 0.0), (1, 0.25), (2, 0.5)]
    assert curve(run.path, "rollout/reward_mean") == [(0, -1.0), (1, -1.0), (2, -1.0)]
    assert curve(run.path, stage="04-evaluate") == [(0, 0.0)]
    run.close()


def test_a_resumed_run_does_not_double_points(tmp_path: Path) -> None:
    """Killed after step 3 with a checkpoint at step 2: steps 2 and 3 are taken again, by another process."""
    killed = opened(tmp_path / "run")
    log(killed.metrics, 0, stage="01-sft")
    log(killed.metrics, 0, 1, 2, 3)
    killed.close()
    resumed = opened(tmp_path / "run")
    resumed.stage(STAGE).rewind(2)
    assert curve(resumed.path) == [(0, 0.0), (1, 0.25)]
    log(resumed.metrics, 2, 3)
    assert curve(resumed.path) == [(0, 0.0), (1, 0.25), (2, 0.5), (3, 0.75)]
    resumed.stage(STAGE).begin()
    assert not (resumed.path / "tensorboard" / STAGE).exists()
    assert curve(resumed.path, stage="01-sft") == [(0, 0.0)]
    resumed.close()


def test_a_run_begun_without_tensorboard_shows_its_first_steps_too(tmp_path: Path) -> None:
    log(MetricsLog(tmp_path), 0, 1)
    run = opened(tmp_path)
    log(run.metrics, 2)
    assert curve(run.path) == [(0, 0.0), (1, 0.25), (2, 0.5)]
    run.close()


def test_one_parser_keeps_the_last_of_a_step_and_no_torn_line(tmp_path: Path) -> None:
    figures = MetricsLog(tmp_path)
    log(figures, 0, stage="10-rl")
    log(figures, 1, 0, 0, stage="2-sft")
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"stage": "2-sft", "st')
    assert [(line["stage"], line["step"]) for line in read_metrics(tmp_path)] == [
        ("2-sft", 0),
        ("2-sft", 1),
        ("10-rl", 0),
    ]
    assert [metrics["train/loss"] for metrics in figures.of_stage("2-sft")] == [0.0, 0.25]


def test_wandb_that_is_not_installed_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    run = RunDirectory(tmp_path / "run")
    with pytest.raises(BadInput, match="wandb is not installed: pip install wandb"):
        run.open("name: a\nmetrics: {wandb_project: mine}\n")
    assert not run.path.exists()


def test_wandb_is_sent_a_run_a_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage that goes on after a kill goes on in its run there, and one that begins anew is another."""
    sent: list[Any] = []

    def init(**settings: Any) -> Any:
        def logged(metrics: Any, step: int) -> None:
            sent.append((settings["name"], settings["id"], step))

        return SimpleNamespace(log=logged, finish=lambda: sent.append("finished"))

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init, __spec__=SimpleNamespace()))
    clock = iter(range(100))
    monkeypatch.setattr("rl.run.metrics_log.time.time", lambda: next(clock))

    def opened_again() -> MetricsLog:
        figures = MetricsLog(tmp_path)
        figures.send_to(sinks_of(MetricsConfig(tensorboard=False, wandb_project="mine"), tmp_path))
        return figures

    figures = opened_again()
    log(figures, 0, 1)
    log(figures, 0, stage="04-x")
    figures.close()
    resumed = opened_again()
    resumed.drop(STAGE, from_step=1)
    log(resumed, 1)
    resumed.drop(STAGE)
    log(resumed, 0)
    first, again = f"{tmp_path.name}-{STAGE}-0", f"{tmp_path.name}-{STAGE}-4000"
    assert sent == [
        (STAGE, first, 0), (STAGE, first, 1), "finished",
        ("04-x", f"{tmp_path.name}-04-x-2000", 0), "finished",
        (STAGE, first, 1), "finished",
        (STAGE, again, 0),
    ]  # fmt: skip
    assert not (tmp_path / "tensorboard").exists()
