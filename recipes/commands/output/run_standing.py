"""How a run stands: its stages, the one at work, the time that is left, told from what the run wrote."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

import yaml
from pydantic import ValidationError

from recipes.report.evaluation import rate_chains
from rl.program import program_of
from rl.recipe.recipe import Recipe
from rl.run.progress import TITLE_WIDTH, clock_words, duration_words, value_words
from rl.run.progress_file import ToldProgress
from rl.run.run_directory import RunDirectory, is_held
from rl.run.run_record import RunRecord
from rl.runner import PlannedStage, plan_of
from verifiers.counted import counted
from verifiers.errors import HoneError

RunState = Literal["complete", "at work", "stopped"]
StageState = Literal["done", "at work", "stopped", "to do"]
MARKS: Mapping[StageState, str] = {"done": "✓", "at work": "▸", "stopped": "✗", "to do": "·"}
NEWEST_STEPS = 20  # by which a step's time is told
QUIET_STEPS = 10  # as long as so many without a word is worth a remark


@dataclass(frozen=True)
class StageStanding:
    """``words`` are what a stage came to, has come to or has to do; ``seconds`` what it took, or is expected to take
    (None: not known)."""

    name: str
    title: str
    state: StageState
    words: str
    seconds: float | None = None


@dataclass(frozen=True)
class RunStanding:
    """``state``: "at work" while a process holds the run. ``left_s`` is an estimate by earlier stages of the same
    kinds; None where there is none to go by. ``step_s`` are the phases of a step of the stage at work, medians.
    ``asked_at``: by the clock."""

    path: str
    state: RunState
    stages: tuple[StageStanding, ...]
    told: ToldProgress | None
    taken_s: float
    left_s: float | None
    step_s: Mapping[str, float]
    heldout: tuple[str, ...]
    asked_at: float

    @classmethod
    def of(cls, path: Path) -> RunStanding:
        """Raises: BadInput where there is no run."""
        record, told = RunRecord.open(path), ToldProgress.of(path)
        at_work = is_held(path)
        state: RunState = "complete" if record.summary["status"] == "complete" else "stopped"
        now = time.time()
        stages = tuple(_stages(record, told, at_work=at_work, now=now))
        open_ones = [stage for stage in stages if stage.state != "done"]
        left = [stage.seconds for stage in open_ones if stage.seconds is not None]
        return cls(
            str(path),
            "at work" if at_work else state,
            stages,
            told,
            sum(float(manifest.get("wall_s") or 0) for manifest in record.manifests),
            sum(left) if open_ones and len(left) == len(open_ones) else None,
            _step_s(record, told),
            tuple(rate_chains(record.summary["heldout"])),
            now,
        )

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)

    def lines(self) -> Iterator[str]:
        """For a person, the most important last: a terminal shows the end."""
        for number, stage in enumerate(self.stages, 1):
            about = {"done": "{}", "to do": "about {}"}.get(stage.state, "")  # what is at work has an ETA
            took = "" if stage.seconds is None else about.format(duration_words(stage.seconds))
            title = f"{number}/{len(self.stages)} {stage.title}"
            yield "   ".join(
                filter(None, (f"{MARKS[stage.state]} {title:<{TITLE_WIDTH}}", stage.words, took))
            )
        if self.step_s:
            phases = sorted(self.step_s.items(), key=lambda item: -item[1])
            yield "a step: " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in phases)
        yield from self.heldout
        yield self._last_line()

    def short_line(self) -> str:
        """One of many runs: where it is, and what it has come to."""
        num_done = sum(stage.state == "done" for stage in self.stages)
        begun = next((stage for stage in self.stages if stage.state in ("at work", "stopped")), None)
        mark = {"complete": MARKS["done"], "at work": MARKS["at work"], "stopped": MARKS["stopped"]}[
            self.state
        ]
        at = "" if begun is None else f"{begun.title}  {begun.words}"
        done = f"{self.state}, {num_done}/{len(self.stages)} stages, {duration_words(self.taken_s)}"
        return "   ".join(filter(None, (f"{mark} {self.path:<28} {done}", at, *self.heldout)))

    def _last_line(self) -> str:
        taken = f"{duration_words(self.taken_s)} in the stages that are done"
        if self.state == "complete":
            return f"{self.path} is complete: {taken}"
        if self.state == "stopped":
            return f"nothing is running in {self.path}: {taken}; run the same command again to go on"
        left = "" if self.left_s is None else f", about {duration_words(self.left_s)} left"
        if self.told is None:
            return f"a process works in {self.path}: {taken}{left}"
        since = self.asked_at - self.told.told_at
        quiet = ""
        pace_s = sum(self.step_s.values()) or self.told.elapsed_s / max(self.told.step, 1)
        if since > QUIET_STEPS * max(1.0, pace_s) and self.told.step:
            quiet = f", no step for {duration_words(since)}: {self.path}/logs says more"
        who = f"process {self.told.pid} on {self.told.host}"
        return f"{who} works in {self.path}: {taken}{left}{quiet}"


def _stages(
    record: RunRecord, told: ToldProgress | None, *, at_work: bool, now: float
) -> Iterator[StageStanding]:
    """As the recipe's program goes on from what is done; what is not in the program any more comes last."""
    seconds = {str(one["stage"]): float(one.get("wall_s") or 0) for one in record.manifests}
    of_kind = {str(one.get("kind")): seconds[str(one["stage"])] for one in record.manifests}
    planned = _plan(record)
    begun: StageState = "at work" if at_work else "stopped"
    for stage in planned:
        if stage.is_done:
            yield StageStanding(stage.name, stage.title, "done", stage.summary, seconds.get(stage.name))
        elif told is not None and told.stage == stage.name:
            yield StageStanding(stage.name, stage.title, begun, _told_words(told, at_work, now), told.eta_s)
        elif stage.name in record.unfinished:
            yield StageStanding(stage.name, stage.title, begun, stage.work)
        else:
            yield StageStanding(stage.name, stage.title, "to do", stage.work, of_kind.get(stage.kind))
    names = {stage.name for stage in planned}
    for manifest in record.manifests:
        if (name := str(manifest["stage"])) not in names:
            yield StageStanding(name, str(manifest.get("title", name)), "done", "", seconds[name])


def _plan(record: RunRecord) -> list[PlannedStage]:
    """Empty where today's Hone cannot follow the run's program: an older one's, a reward model's, a plug-in that is not
    here."""
    try:
        recipe = Recipe.model_validate(yaml.safe_load(record.recipe_text))
        return plan_of(program_of(recipe), recipe, RunDirectory(record.path))
    except (HoneError, ValidationError, yaml.YAMLError):
        return []


def _told_words(told: ToldProgress, at_work: bool, now: float) -> str:
    of_all = f"/{told.total_steps}" if told.total_steps is not None else ""
    steps = f"{told.step}{of_all}" if of_all else counted(told.step, "step") if told.step else ""
    left = f"ETA {clock_words(told.eta_s)}" if told.eta_s is not None and at_work else ""
    elapsed_s = told.elapsed_s + max(0.0, now - told.told_at)
    since = f"for {duration_words(elapsed_s)}" if at_work and not left else ""
    return "  ".join(filter(None, (steps, *(value_words(*one) for one in told.values.items()), left, since)))


def _step_s(record: RunRecord, told: ToldProgress | None) -> dict[str, float]:
    """By phase, of the newest steps of the stage at work; the whole step is no phase."""
    steps: list[dict[str, Any]] = [
        line["metrics"] for line in record.metrics if told is not None and line["stage"] == told.stage
    ][-NEWEST_STEPS:]
    names = {name for step in steps for name in step if name.startswith("time/") and name != "time/step_s"}
    return {
        name.removeprefix("time/").removesuffix("_s"): median(step.get(name, 0.0) for step in steps)
        for name in sorted(names)
    }
