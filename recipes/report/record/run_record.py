"""A run directory as a reader sees it, complete or still being written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from recipes.report.record.rates import pass_at_1, win_rate
from recipes.report.record.rollout_table import PASS_SCORE
from rl.run.metrics_log import read_metrics
from rl.run.run_record import build_summary, read_manifests, run_status
from verifiers.errors import BadInput

Json = dict[str, Any]
WORDS_OF_KIND = {
    "sft": "SFT",
    "reward-model": "reward model",
    "critic": "critic",
    "rl": "RL",
    "harvest": "harvest",
    "collect": "harvest",  # as runs before 2026-11-28 call it
}


@dataclass(frozen=True)
class RunRecord:
    """`summary` is made anew from the manifests; `unfinished` are the stages that have no manifest yet."""

    path: Path
    summary: Json
    manifests: tuple[Json, ...]
    metrics: tuple[Json, ...]
    recipe_text: str
    unfinished: tuple[str, ...]

    @classmethod
    def open(cls, path: str | Path) -> RunRecord:
        """Raises `BadInput` when there is no run at `path`."""
        run = Path(path)
        if not run.is_dir():
            raise BadInput(f"no run directory at {run}")
        if not (run / "stages").is_dir() and not (run / "summary.json").is_file():
            raise BadInput(f"{run} is not a run directory: it has neither summary.json nor stages/")
        recipe = run / "recipe.yaml"
        return cls(
            path=run,
            summary=build_summary(run, run_status(run)),
            manifests=tuple(read_manifests(run)),
            metrics=tuple(read_metrics(run)),
            recipe_text=recipe.read_text(encoding="utf-8", errors="replace") if recipe.is_file() else "",
            unfinished=tuple(_unfinished(run)),
        )

    @property
    def under_way(self) -> list[str]:
        """The stages being worked on, with the last step they logged: "02-rl, step 17"."""
        last_step = {str(line["stage"]): int(line["step"]) for line in self.metrics}
        return [
            stage + (f", step {last_step[stage]}" if stage in last_step else "") for stage in self.unfinished
        ]

    @property
    def pass_score(self) -> float:
        """The score from which the run's own evaluation counts a response as right."""
        score = self.evaluation_setting("pass_score")
        return PASS_SCORE if score is None else score

    def evaluation_setting(self, name: str) -> float | None:
        """A number from the recipe's section `evaluation`; None where there is none."""
        try:
            recipe = yaml.safe_load(self.recipe_text)
        except yaml.YAMLError:
            return None
        section = recipe.get("evaluation") if isinstance(recipe, dict) else None
        value = section.get(name) if isinstance(section, dict) else None
        return float(value) if isinstance(value, (int, float)) else None

    @property
    def evaluations(self) -> list[Json]:
        """The held-out evaluations in order, as in summary.json, without those that measured nothing."""
        evaluations: list[Json] = self.summary["heldout"]
        return [one for one in evaluations if pass_at_1(one) is not None or win_rate(one) is not None]

    @property
    def reward_model_report(self) -> Json:
        """How well the run's own reward model does on held-out pairs; empty where the run trained none."""
        results = [one.get("result") or {} for one in self.manifests if one.get("kind") == "reward-model"]
        report: Json = (results[-1].get("report") or {}) if results else {}
        return report

    @property
    def cold_start(self) -> Json | None:
        """The first evaluation after supervised fine-tuning; the first of all where there is none."""
        after_sft = [evaluation for evaluation in self.evaluations if evaluation.get("after") == "sft"]
        return next(iter(after_sft or self.evaluations), None)

    @property
    def final(self) -> Json | None:
        """The last evaluation so far; None while the cold start is the only one."""
        evaluations = self.evaluations
        return evaluations[-1] if evaluations and evaluations[-1] is not self.cold_start else None


def evaluation_label(evaluation: Json) -> str:
    """Which policy was evaluated, in a few words: "start", "round 0 SFT", "round 1 RL"."""
    after = str(evaluation.get("after"))
    if after == "start":
        return "start"
    return f"round {evaluation.get('round', 0)} {WORDS_OF_KIND.get(after, 'evaluate')}"


def stage_label(manifest: Json) -> str:
    """A stage's title; an evaluation's says after what it was."""
    title = str(manifest.get("title") or manifest["stage"])
    after = str((manifest.get("result") or {}).get("after"))
    return title + {"start": " at start", "sft": " after SFT", "rl": " after RL"}.get(after, "")


def _unfinished(run: Path) -> list[str]:
    stages = run / "stages"
    if not stages.is_dir():
        return []
    return sorted(
        directory.name
        for directory in stages.iterdir()
        if directory.is_dir()
        and not directory.name.startswith(".")
        and not (directory / "manifest.json").exists()
    )
