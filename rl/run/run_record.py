"""`summary.json` of a run, made from its manifests, metrics and recipe alone: remade at any time."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import yaml

from rl.run.metrics_log import read_metrics, stage_order
from rl.run.stage_result import StageResult, result_of
from sampler.atomic_file import write_atomically

Json = dict[str, Any]
RunStatus = Literal["running", "complete"]

HELDOUT_FIELDS = (
    "policy_version",
    "after",
    "num_prompts",
    "samples_per_prompt",
    "pass_at_1",
    "pass_at_k",
    "by_tag",
    "by_verifier",
    "by_kind",
    "general",
    "answer_status",
)


def write_summary(run_dir: str | Path, status: RunStatus | None = None) -> Json:
    """Build RUN/summary.json and return it. Without a `status` the earlier one's is kept, or "running"."""
    run_dir = Path(run_dir)
    summary = build_summary(run_dir, status or run_status(run_dir))
    text = json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(run_dir / "summary.json", text + "\n")
    return summary


def build_summary(run_dir: Path, status: RunStatus) -> Json:
    """The same without writing it, as `hone report` does for a run still in progress."""
    recipe = _read_recipe(run_dir / "recipe.yaml")
    manifests = read_manifests(run_dir)
    rl_steps = [line for line in read_metrics(run_dir) if line.get("kind") == "rl"]
    mismatch_kls = [value for line in rl_steps if (value := _metric(line, "train/mismatch_kl")) is not None]
    summary: Json = _finite(
        {
            "name": recipe.get("name") or run_dir.name,
            "seed": recipe.get("seed"),
            "status": status,
            "heldout": [_heldout(manifest) for manifest in manifests if manifest.get("kind") == "evaluate"],
            "wall_s": sum(float(manifest.get("wall_s") or 0.0) for manifest in manifests),
            "stages": [
                {
                    field: manifest.get(field)
                    for field in ("stage", "kind", "round", "title", "wall_s", "phase_s")
                }
                for manifest in manifests
            ],
            "throughput": {
                "rollout_tokens_per_s": _time_weighted_mean(
                    rl_steps, "rollout/tokens_per_s", "time/generate_s"
                ),
                "train_tokens_per_s": _time_weighted_mean(rl_steps, "train/tokens_per_s", "time/train_s"),
            },
            "mismatch_kl": {
                "max": max(mismatch_kls, default=None),
                "mean": sum(mismatch_kls) / len(mismatch_kls) if mismatch_kls else None,
            },
            "versions": _newest(manifests, "packages"),
            "hardware": _newest(manifests, "hardware"),
        }
    )
    return summary


def read_manifests(run_dir: Path) -> list[Json]:
    """The manifests of the complete stages, in order; each was renamed into place, so it is whole."""
    paths = sorted(
        (run_dir / "stages").glob("*/manifest.json"), key=lambda path: stage_order(path.parent.name)
    )
    return [{"stage": path.parent.name, **json.loads(path.read_text(encoding="utf-8"))} for path in paths]


def results_of(run_dir: Path) -> list[StageResult]:
    """What the complete stages left, in order."""
    return [result_of(manifest, run_dir) for manifest in read_manifests(run_dir)]


def _read_recipe(path: Path) -> Json:
    recipe = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None
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


def _finite(value: Any) -> Any:  # JSON in, JSON out
    """JSON has no NaN and no infinity: they become null, which a reader sees as "not known"."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    return value
