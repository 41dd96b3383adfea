"""A run read back: its manifests, results, metrics and recipe, and `summary.json`, which is made of these alone."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import yaml
from pydantic import ValidationError
from pydantic_core import from_json, to_json

from rl.recipe.data_config import VideoConfig
from rl.recipe.run_config import EvaluationConfig
from rl.run.metrics_log import read_metrics
from rl.run.results.manifest import ResultT, kind_of, read_manifests
from sampler.atomic_file import write_atomically
from sampler.frame_schedule import FilmSampling
from verifiers.errors import BadInput

Json = dict[str, Any]
RunStatus = Literal["running", "complete"]

HELDOUT_FIELDS = (
    "policy_version after num_prompts samples_per_prompt pass_at_1 pass_at_1_interval pass_at_k pass_at_k_interval "
    "by_tag by_verifier by_kind general answer_status response_tokens_mean surprisal_mean scripts changes"
).split()


@dataclass(frozen=True)
class RunRecord:
    """A run directory as a reader sees it, complete or still being written, by today's Hone or an older one.

    `summary` is made anew from the manifests; `unfinished` are the stages that have no manifest yet."""

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
            if (run / "logs").is_dir():
                raise BadInput(f"nothing has run in {run} yet")
            raise BadInput(f"{run} is not a run directory: it has neither summary.json nor stages/")
        return cls(
            path=run,
            summary=build_summary(run, run_status(run)),
            manifests=tuple(read_manifests(run)),
            metrics=tuple(read_metrics(run)),
            recipe_text=_recipe_text(run),
            unfinished=tuple(
                sorted(
                    stage.name
                    for stage in run.glob("stages/[!.]*/")
                    if not (stage / "manifest.json").exists()
                )
            ),
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
        return EvaluationConfig().pass_score if score is None else score

    def evaluation_setting(self, name: str) -> float | None:
        """A number from the recipe's section `evaluation`; None where there is none."""
        section = _recipe(self.recipe_text).get("evaluation")
        value = section.get(name) if isinstance(section, dict) else None
        return float(value) if isinstance(value, (int, float)) else None

    @property
    def film_sampling(self) -> FilmSampling | None:
        """How the run chooses the frames of films; None where the model's own processor does."""
        data = _recipe(self.recipe_text).get("data")
        section = data.get("video") if isinstance(data, dict) else None
        try:
            return VideoConfig.model_validate(section).sampling if section else None
        except ValidationError as why:
            raise BadInput(f"{self.path / 'recipe.yaml'}: data.video cannot be read: {why}") from why

    @property
    def evaluations(self) -> list[Json]:
        """The held-out evaluations in order, as in summary.json, without those that measured nothing."""
        evaluations: list[Json] = self.summary["heldout"]
        return [one for one in evaluations if _measured(one)]

    def results(self, of: type[ResultT]) -> list[ResultT]:
        """What the complete stages of one kind left, in order."""
        return [of.of(one, self.path) for one in self.manifests if kind_of(one) == of.kind]

    @property
    def warnings(self) -> list[str]:
        """What the complete stages warned of."""
        return [
            f"{one.get('title')}: {words}"
            for one in self.manifests
            for words in (one.get("result") or {}).get("warnings", ())
        ]

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


def write_summary(run_dir: str | Path, status: RunStatus | None = None) -> Json:
    """Build RUN/summary.json and return it. Without a `status` the earlier one's is kept, or "running"."""
    run_dir = Path(run_dir)
    summary = build_summary(run_dir, status or run_status(run_dir))
    text = json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(run_dir / "summary.json", text + "\n")
    return summary


def build_summary(run_dir: Path, status: RunStatus) -> Json:
    """The same without writing it, as `hone report` does for a run still in progress."""
    recipe = _recipe(_recipe_text(run_dir))
    manifests = read_manifests(run_dir)
    rl_steps = [line for line in read_metrics(run_dir) if line.get("kind") == "rl"]
    mismatch_kls = [value for line in rl_steps if (value := _metric(line, "train/mismatch_kl")) is not None]
    of_stage = ("stage", "kind", "round", "title", "wall_s", "phase_s")
    rates = {
        "rollout_tokens_per_s": _time_weighted_mean(rl_steps, "rollout/tokens_per_s", "time/generate_s"),
        "train_tokens_per_s": _time_weighted_mean(rl_steps, "train/tokens_per_s", "time/train_s"),
    }
    summary = {
        "name": recipe.get("name") or run_dir.name,
        "seed": recipe.get("seed"),
        "status": status,
        "heldout": [_heldout(manifest) for manifest in manifests if manifest.get("kind") == "evaluate"],
        "wall_s": sum(float(manifest.get("wall_s") or 0.0) for manifest in manifests),
        "stages": [{field: manifest.get(field) for field in of_stage} for manifest in manifests],
        "throughput": rates,
        "mismatch_kl": {
            "max": max(mismatch_kls, default=None),
            "mean": fmean(mismatch_kls) if mismatch_kls else None,
        },
        "versions": _newest(manifests, "packages"),
        "hardware": _newest(manifests, "hardware"),
    }
    # JSON has no NaN and no infinity: they become null, which a reader sees as "not known".
    finite: Json = from_json(to_json(summary, inf_nan_mode="null"))
    return finite


def _measured(evaluation: Json) -> bool:
    """Whether a verifier or a reward model judged anything."""
    compared = (evaluation.get("general") or {}).get("against_reference") or {}
    verified = evaluation.get("pass_at_1") is not None and evaluation.get("num_prompts") != 0
    return verified or compared.get("win_rate") is not None


def _recipe_text(run: Path) -> str:
    file = run / "recipe.yaml"
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""


def _recipe(text: str) -> Json:
    """Empty where it is none."""
    try:
        recipe = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    return recipe if isinstance(recipe, dict) else {}


def run_status(run_dir: Path) -> RunStatus:
    """By the last summary that was written."""
    try:
        status = json.loads((run_dir / "summary.json").read_text(encoding="utf-8")).get("status")
    except (OSError, ValueError, AttributeError):
        return "running"
    return "complete" if status == "complete" else "running"


def _heldout(manifest: Json) -> Json:
    result = manifest.get("result") or {}
    where = {field: manifest.get(field) for field in ("stage", "round", "title")}
    return {**where, **{field: result[field] for field in HELDOUT_FIELDS if field in result}}


def _newest(manifests: list[Json], field: str) -> Json:
    return next((manifest[field] for manifest in reversed(manifests) if manifest.get(field)), {})


def _metric(line: Json, name: str) -> float | None:
    value = (line.get("metrics") or {}).get(name)
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _time_weighted_mean(lines: Iterable[Json], rate: str, seconds: str) -> float | None:
    """All tokens over all the time they took: the mean of a rate weighted by how long each step ran at it."""
    pairs = [(_metric(line, rate), _metric(line, seconds)) for line in lines]
    known = [(value, weight if weight is not None else 1.0) for value, weight in pairs if value is not None]
    total_s = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / total_s if total_s > 0 else None
