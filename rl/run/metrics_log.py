"""The figures of every step: `metrics.jsonl` of a run, which is the truth, and sinks that show it elsewhere."""

from __future__ import annotations

import importlib.util
import json
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from rl.recipe.run_config import MetricsConfig
from sampler.atomic_file import write_atomically
from verifiers.errors import BadInput

Line = dict[str, Any]  # stage, kind, round, step, time, metrics
FILE = "metrics.jsonl"


class MetricsSink(Protocol):
    """Another place that shows the figures."""

    def restart(self, lines: Sequence[Line]) -> None:
        """These lines are all there is: forget whatever came in before."""

    def add(self, line: Line) -> None:
        """One step more."""

    def close(self) -> None: ...


class MetricsLog:
    """The one writer of a run's metrics. Sinks follow the file, so a step taken again never stands in them twice."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self._sinks: Sequence[MetricsSink] = ()

    def send_to(self, sinks: Sequence[MetricsSink]) -> None:
        """From now on they show every line, and those that are there already."""
        self._sinks = sinks
        self._restart(read_metrics(self.run))

    def append(
        self, *, stage: str, kind: str, round_index: int, step: int, metrics: Mapping[str, float]
    ) -> None:
        """One step's figures as one line."""
        line: Line = {
            "stage": stage,
            "kind": kind,
            "round": round_index,
            "step": step,
            "time": time.time(),
            "metrics": {name: float(value) for name, value in metrics.items()},
        }
        with (self.run / FILE).open("a") as file:
            file.write(json.dumps(line) + "\n")
        for sink in self._sinks:
            sink.add(line)

    def of_stage(self, stage: str) -> list[dict[str, float]]:
        """The figures of a stage's steps, in order."""
        return [line["metrics"] for line in read_metrics(self.run) if line["stage"] == stage]

    def drop(self, stage: str, from_step: int = 0) -> None:
        """Remove a stage's lines from a step on, and a last line cut short by a kill."""
        file = self.run / FILE
        if not file.exists():
            return
        lines = list(_lines(file))
        kept = [line for line in lines if line["stage"] != stage or line["step"] < from_step]
        write_atomically(file, "".join(json.dumps(line) + "\n" for line in kept))
        if len(kept) < len(lines):
            self._restart(kept)

    def close(self) -> None:
        for sink in self._sinks:
            sink.close()

    def _restart(self, lines: Sequence[Line]) -> None:
        for sink in self._sinks:
            sink.restart(lines)


def read_metrics(run: Path) -> list[Line]:
    """The lines of a run's metrics, in order of stage and step, the last one written for each step.

    A run that was killed can leave half a line, and one that resumed writes some steps twice.
    """
    newest = {(line["stage"], line["step"]): line for line in _lines(run / FILE)}
    return [newest[key] for key in sorted(newest, key=lambda key: (stage_order(key[0]), key[1]))]


def stage_order(stage: str) -> tuple[int, str]:
    """What names of stages are sorted by: 2-rl comes before 10-rl."""
    number = stage.split("-", 1)[0]
    return (int(number) if number.isdecimal() else 1_000_000, stage)


def _lines(file: Path) -> Iterable[Line]:
    """Every whole line, as it was written."""
    if not file.exists():
        return
    for text in file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
            yield line | {"stage": str(line["stage"]), "step": int(line["step"])}
        except (ValueError, KeyError, TypeError):
            continue


def sinks_of(config: MetricsConfig, run: Path) -> list[MetricsSink]:
    """Those that the recipe asks for. Raises: BadInput where wandb is asked for and not installed."""
    sinks: list[MetricsSink] = [TensorBoard(run / "tensorboard")] if config.tensorboard else []
    if config.wandb_project is not None:
        require_wandb()
        sinks.append(WeightsAndBiases(config.wandb_project, run))
    return sinks


def require_wandb() -> None:
    """Raises: BadInput where the package is missing; Hone itself does not ask for it."""
    if importlib.util.find_spec("wandb") is None:
        raise BadInput(
            "metrics.wandb_project is set and the package wandb is not installed: pip install wandb, or set it to null"
        )


class TensorBoard:
    """Event files, a directory a stage: TensorBoard draws every stage as a curve of its own over its own steps."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._writers: dict[str, Any] = {}

    def restart(self, lines: Sequence[Line]) -> None:
        self.close()
        shutil.rmtree(self.directory, ignore_errors=True)
        for line in lines:
            self._write(line)
        for writer in self._writers.values():
            writer.flush()

    def add(self, line: Line) -> None:
        self._write(line).flush()

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _write(self, line: Line) -> Any:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        writer = self._writers.get(line["stage"])
        if writer is None:
            writer = self._writers[line["stage"]] = EventFileWriter(str(self.directory / line["stage"]))
        values = [Summary.Value(tag=name, simple_value=value) for name, value in line["metrics"].items()]
        writer.add_event(
            Event(wall_time=line.get("time", 0.0), step=line["step"], summary=Summary(value=values))
        )
        return writer


class WeightsAndBiases:
    """wandb: a run a stage, in the group of Hone's run. wandb itself ignores a step that is not beyond its last one,
    which is what a step taken again is; a stage that begins anew is a new run there."""

    def __init__(self, project: str, run: Path) -> None:
        self.project = project
        self.run = run
        self._began: dict[str, int] = {}  # by stage, in ms: the time of its first step
        self._stage = ""
        self._open: Any = None

    def restart(self, lines: Sequence[Line]) -> None:
        self.close()
        self._began = {line["stage"]: int(1000 * line["time"]) for line in reversed(lines)}

    def add(self, line: Line) -> None:
        """A step into the run of its stage, which is opened, or gone on with, when the stage changes."""
        import wandb

        stage = line["stage"]
        if stage != self._stage:
            self.close()
            began = self._began.setdefault(stage, int(1000 * line["time"]))
            self._open = wandb.init(
                project=self.project,
                group=self.run.name,
                name=stage,
                id=f"{self.run.name}-{stage}-{began}",
                dir=str(self.run),
                resume="allow",
            )
            self._stage = stage
        self._open.log(line["metrics"], step=line["step"])

    def close(self) -> None:
        if self._open is not None:
            self._open.finish()
        self._open, self._stage = None, ""
