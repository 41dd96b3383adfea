"""The manifests of a run's complete stages read back, and the result in each, old ones included."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from rl.run.metrics_log import stage_order
from rl.run.results.evaluation_result import EvaluationResult
from rl.run.results.stage_result import (
    CaptionResult,
    CriticResult,
    HarvestResult,
    PrepareResult,
    ProfileResult,
    RewardModelResult,
    RlResult,
    SftResult,
    StageResult,
)

VERSION = 1  # of the results in manifests; those before 2026-11-29 name none, which is 0
KINDS_BEFORE = {"collect": "harvest"}  # version 0, before 2026-11-28

Json = dict[str, Any]
ResultT = TypeVar("ResultT", bound=StageResult)

RESULTS: Mapping[str, type[StageResult]] = {
    result.kind: result
    for result in (
        PrepareResult, SftResult, RewardModelResult, CriticResult, RlResult, EvaluationResult, HarvestResult,
        CaptionResult, ProfileResult,
    )
}  # fmt: skip


def result_of(manifest: Mapping[str, Any], run_path: Path) -> StageResult:
    """A stage's result by the kind its manifest names; of a kind that Hone does not know only stage and round."""
    return RESULTS.get(kind_of(manifest), StageResult).of(manifest, run_path)


def kind_of(manifest: Mapping[str, Any]) -> str:
    """A stage's kind, by today's name."""
    kind = str(manifest.get("kind"))
    return KINDS_BEFORE.get(kind, kind)


def read_manifests(run_dir: Path) -> list[Json]:
    """The manifests of the complete stages, in order; each was renamed into place, so it is whole."""
    paths = sorted(
        (run_dir / "stages").glob("*/manifest.json"), key=lambda path: stage_order(path.parent.name)
    )
    return [{"stage": path.parent.name, **json.loads(path.read_text(encoding="utf-8"))} for path in paths]


def results_of(run_dir: Path) -> list[StageResult]:
    """What the complete stages left, in order."""
    return [result_of(manifest, run_dir) for manifest in read_manifests(run_dir)]


def first_result(results: Iterable[StageResult], kind: type[ResultT]) -> ResultT | None:
    """The first of one kind; None where no stage of that kind is complete."""
    return next((result for result in results if isinstance(result, kind)), None)
