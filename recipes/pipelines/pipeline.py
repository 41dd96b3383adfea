"""A pipeline: stages read from YAML, run one after the other over a prompt set; each says what it dropped and why."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from pydantic import Field, ValidationError

from recipes.pipelines.stage import Outcome, PipelineStage, Profiler
from recipes.pipelines.stages.question import BoxedStage, OneQuestionStage, OpenEndedStage, ShortAnswerStage
from recipes.pipelines.stages.sampled import BandStage, BlindStage, CaptionStage, SpreadStage
from recipes.pipelines.stages.tag import StratifyStage, TagStage
from rl.recipe.section import Section
from sampler.atomic_file import write_atomically, written_whole
from sampler.data.prompt_dataset import save_prompts
from sampler.prompt import Prompt
from sampler.store.reference_shift import reference_shift, references_of
from verifiers.errors import BadInput, near_name

SHIPPED = Path(__file__).parent / "shipped"
STAGES: dict[str, type[PipelineStage]] = {
    "open_ended": OpenEndedStage,
    "one_question": OneQuestionStage,
    "short_answer": ShortAnswerStage,
    "boxed": BoxedStage,
    "blind": BlindStage,
    "caption": CaptionStage,
    "band": BandStage,
    "spread": SpreadStage,
    "tag": TagStage,
    "stratify": StratifyStage,
}
PROMPTS_FILE, FUNNEL_FILE, HISTORY_FILE, PIPELINE_FILE = (
    "prompts.parquet",
    "pipeline.json",
    "history.parquet",
    "pipeline.yaml",
)
_HISTORY = pa.schema([(name, pa.string()) for name in ("stage", "prompt_id", "origin_id", "what", "reason")])


class PipelineConfig(Section):
    """What a pipeline's YAML holds."""

    name: str = Field(description="of the pipeline")
    recipe: str | None = Field(None, description="whose engines and judges sample; --recipe wins")
    stages: list[dict[str, dict[str, Any] | None]] = Field(
        min_length=1, description="each one name with its options"
    )


@dataclass(frozen=True)
class Pipeline:
    """Named stages, in order: "05-blind" and what it is."""

    config: PipelineConfig
    stages: tuple[tuple[str, PipelineStage], ...]

    @property
    def samples_policy(self) -> bool:
        return any(stage.samples_policy for _, stage in self.stages)

    def as_yaml(self) -> str:
        """With every option, so that two can be compared."""
        stages = [{name.partition("-")[2]: stage.model_dump(mode="json")} for name, stage in self.stages]
        return yaml.safe_dump(
            {"name": self.config.name, "stages": stages}, sort_keys=False, allow_unicode=True
        )


def load_pipeline(name: str) -> Pipeline:
    """One that comes with Hone by its name, or a file. Raises: BadInput in one line for what is wrong in it."""
    known = {file.stem: file for file in sorted(SHIPPED.glob("*.yaml"))}
    file = known.get(name, Path(name))
    if not file.is_file():
        raise BadInput(
            f"no pipeline {name!r}: give a YAML file, or one of {', '.join(known)}{near_name(name, known)}"
        )
    try:
        config = PipelineConfig.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError) as why:
        raise BadInput(f"{file}: not valid YAML: {' '.join(str(why).split())[:200]}") from None
    except ValidationError as why:
        raise BadInput(f"{file}: {_first_error(why)}") from None
    stages = [
        (f"{number:02d}-{stage_name}", _stage(file, stage_name, options or {}))
        for number, entry in enumerate(config.stages, start=1)
        for stage_name, options in _only_one(file, number, entry).items()
    ]
    return Pipeline(config, tuple(stages))


def _only_one(file: Path, number: int, entry: dict[str, Any]) -> dict[str, Any]:
    if len(entry) != 1:
        raise BadInput(
            f"{file}: stage {number} is one name with its options, got {', '.join(entry) or 'nothing'}"
        )
    return entry


def _stage(file: Path, name: str, options: dict[str, Any]) -> PipelineStage:
    if name not in STAGES:
        raise BadInput(f"{file}: no stage {name!r}: there are {', '.join(STAGES)}{near_name(name, STAGES)}")
    try:
        return STAGES[name].model_validate(options)
    except ValidationError as why:
        raise BadInput(f"{file}: stage {name}: {_first_error(why)}") from None


def _first_error(why: ValidationError) -> str:
    first = why.errors()[0]
    key = ".".join(map(str, first["loc"]))
    return f"{key}: {first['msg'].removeprefix('Value error, ')}"


@dataclass(frozen=True)
class StageReport:
    """What a stage did, counted."""

    stage: str
    num_in: int
    num_kept: int
    num_rewritten: int
    reasons: dict[str, int]
    moved: dict[str, float] = field(
        default_factory=dict
    )  # by question type, how far the references' shares went
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))


def report_of(name: str, given: Sequence[Prompt], outcome: Outcome) -> StageReport:
    """What a stage did with the prompts it was given. What is rewritten has other references, and is not compared."""
    moved, warnings = dict[str, float](), tuple[str, ...]()
    if outcome.dropped and not outcome.rewritten and any(prompt.tags for prompt in given):
        moved, warnings = reference_shift(references_of(given), references_of(outcome.kept))
    counts = len(given), len(outcome.kept), len(outcome.rewritten)
    return StageReport(name, *counts, outcome.reasons, moved, warnings)


def run_pipeline(
    pipeline: Pipeline,
    prompts: Sequence[Prompt],
    out: Path,
    profiler_of: Callable[[str], Profiler],
    tell: Callable[[StageReport], None] = lambda report: None,
) -> list[Prompt]:
    """Every stage, then the prompts, what became of every other one, and the counts into ``out``.

    ``profiler_of`` samples under a stage's name, and goes on where an earlier process stopped; rules are applied anew.
    Raises: BadInput where ``out`` holds the work of another pipeline.
    """
    _take_up(out, pipeline)
    reports: list[StageReport] = []
    history: list[dict[str, str | None]] = []
    left = list(prompts)
    for name, stage in pipeline.stages:
        outcome = _each_once(stage.apply(left, profiler_of(name)))
        history += _history(name, outcome)
        report = report_of(name, left, outcome)
        reports.append(report)
        tell(report)
        left = list(outcome.kept)
    if left:
        save_prompts(out / PROMPTS_FILE, left)
    else:
        (out / PROMPTS_FILE).unlink(missing_ok=True)
    with written_whole(out / HISTORY_FILE) as temporary:
        pq.write_table(pa.Table.from_pylist(history, schema=_HISTORY), temporary, compression="zstd")
    funnel = {"pipeline": pipeline.config.name, "num_in": len(prompts), "num_out": len(left)}
    write_atomically(
        out / FUNNEL_FILE,
        json.dumps({**funnel, "stages": [one.to_json() for one in reports]}, indent=2, ensure_ascii=False)
        + "\n",
    )
    return left


def _take_up(out: Path, pipeline: Pipeline) -> None:
    kept, given = out / PIPELINE_FILE, pipeline.as_yaml()
    if kept.is_file() and kept.read_text(encoding="utf-8") != given:
        raise BadInput(
            f"{out} holds the work of another pipeline (see its {PIPELINE_FILE}): give another --out"
        )
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(kept, given)


def _each_once(outcome: Outcome) -> Outcome:
    """Prompts that became the same one by being rewritten are one: the one that was it already, or the first."""
    kept: dict[str, Prompt] = {}
    for prompt in outcome.kept:
        kept.setdefault(prompt.prompt_id, prompt)
    num_kept = Counter(prompt.prompt_id for prompt in outcome.kept)
    num_rewritten = Counter(outcome.rewritten.values())
    taken = {new for new, num in num_kept.items() if num > num_rewritten[new]}
    dropped, rewritten = dict(outcome.dropped), dict[str, str]()
    for origin, new in outcome.rewritten.items():
        if new in taken:
            dropped[origin] = "the same as another once rewritten"
        else:
            rewritten[origin] = new
            taken.add(new)
    return Outcome(list(kept.values()), dropped, rewritten, outcome.notes)


def _history(stage: str, outcome: Outcome) -> Iterator[dict[str, str | None]]:
    for prompt_id, reason in outcome.dropped.items():
        yield {"stage": stage, "prompt_id": prompt_id, "what": "dropped", "reason": reason}
    for origin_id, prompt_id in outcome.rewritten.items():
        yield {"stage": stage, "prompt_id": prompt_id, "origin_id": origin_id, "what": "rewritten"}
