"""What a stage leaves: typed records that stages hand each other and that manifests keep, old ones included."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializationInfo,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
)
from pydantic.dataclasses import dataclass

from reward_models.preferences.preference_report import PairReport
from rl.run.provenance import FileState
from verifiers.errors import HoneError

ROWS_FILES_BEFORE = ("harvest_rows.parquet", "rft_rows.parquet")  # version 0 did not name the file

Figures = Mapping[str, Any]


def _absolute(path: Path, info: ValidationInfo) -> Path:
    return path if info.context is None else Path(info.context) / path


def _inside(path: Path, info: SerializationInfo) -> str:
    run_path = info.context
    return str(path.relative_to(run_path) if run_path and path.is_relative_to(run_path) else path)


# Kept relative in the files of a run (the context is its directory) where it lies inside, so that a run can be moved.
RunPath = Annotated[Path, AfterValidator(_absolute), PlainSerializer(_inside)]


@dataclasses.dataclass(frozen=True)
class PolicyState:
    """A policy at the end of a stage. ``hub`` is its checkpoint directory in the hub layout."""

    version: int
    hub: RunPath
    stage: str

    def to_json(self, run_path: Path) -> dict[str, Any]:
        """As it stands in a manifest."""
        found: dict[str, Any] = TypeAdapter(PolicyState).dump_python(self, mode="json", context=run_path)
        return found


class StageResult(BaseModel):
    """Of one kind of stage. ``stage`` is the name of its directory, by which logs and metrics know it.

    Every field but the policy has a default: an older manifest may lack it, and a dry run knows none.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="constants")
    kind: ClassVar[str] = ""

    stage: str = Field("", exclude=True)
    round_index: int = Field(0, exclude=True)
    warnings: tuple[str, ...] = ()  # what a person should know although the stage went on to its end

    def to_json(self, run_path: Path) -> dict[str, Any]:
        """As it stands in the manifest, beside the ``VERSION`` of `rl.run.results.manifest`."""
        return self.model_dump(mode="json", context=run_path)

    @classmethod
    def of(cls, manifest: Mapping[str, Any], run_path: Path) -> Self:
        """Read from a stage's manifest, of this version or an older one. Raises: HoneError where it is damaged."""
        stage = str(manifest.get("stage", ""))
        result = dict(manifest.get("result") or {}) | {
            "stage": stage,
            "round_index": manifest.get("round") or 0,
        }
        if not manifest.get("result_version"):
            result = cls._from_version_0(result, run_path / "stages" / stage)
        try:
            return cls.model_validate(result, context=run_path)
        except ValidationError as error:
            key = ".".join(map(str, error.errors()[0]["loc"]))
            raise HoneError(
                f"the manifest of stage {stage} is damaged (result.{key}: {error.errors()[0]['msg']}); delete the "
                "stage's directory to run it again"
            ) from error

    @classmethod
    def _from_version_0(cls, result: dict[str, Any], stage_path: Path) -> dict[str, Any]:
        return result


@dataclass(frozen=True)
class Proof:
    """What a weight sync's proof compared: the largest difference of a log-probability, over how many tokens."""

    max_difference: float
    num_tokens: int


@dataclass(frozen=True)
class ValidationResult:
    """pass@1 on the validation slice after so many optimizer steps."""

    step: int
    pass_at_1: float


@dataclass(frozen=True)
class Interval:
    """A mean and the bounds that hold it, at the level they were made for."""

    mean: float
    low: float
    high: float

    @property
    def in_points(self) -> str:
        """Of a change of a rate, in percentage points: "-6.2 (-10.4 to -2.1)"."""
        mean, low, high = (f"{100 * value:+.1f}" for value in (self.mean, self.low, self.high))
        return f"{mean} ({low} to {high})"


class PrepareResult(StageResult):
    """Where the data lies by set (see ``rl.data.run_data.NOUNS``), what is in it, and the policy to start from."""

    kind = "prepare"
    policy: PolicyState
    paths: dict[str, str] = {}
    files: dict[str, FileState] = {}  # the user's own data files
    prompts_hash: str = ""
    curation_hash: str = ""  # of the events that the run obeys, which lie at paths["curation"]
    num_train_prompts: int = 0
    num_heldout_prompts: int = 0
    num_cold_start_rows: int = 0
    too_long: Figures = {}


class SftResult(StageResult):
    """A policy, and the rows by their source that it learnt from (until 2026-11-30 those too long as well). Where
    it was validated, the policy is the one of the best validation; ``final_loss`` is that of the last step taken."""

    kind = "sft"
    policy: PolicyState
    num_rows: dict[str, int] = {}
    num_dropped_too_long: int = 0
    final_loss: float = float("nan")
    proof: Proof | None = None
    validations: tuple[ValidationResult, ...] = ()
    replay_loss_before: float | None = None  # of right rollouts of the RL before, nats a token
    replay_loss_after: float | None = None

    @staticmethod
    def best_of(validations: Sequence[ValidationResult]) -> ValidationResult | None:
        """The first of those with the highest pass@1; None without any."""
        return max(validations, key=lambda one: one.pass_at_1, default=None)


class RewardModelResult(StageResult):
    """A reward model, and how it judged held-out pairs."""

    kind = "reward-model"
    model: RunPath | None = None
    num_pairs: int = 0
    num_dropped_too_long: int = 0
    final_loss: float = float("nan")
    report: PairReport | None = None
    criteria_right_frac: float | None = None  # of a rubric: held-out criteria judged as they are


class CriticResult(StageResult):
    """A critic that knows the returns of the policy it was trained beside."""

    kind = "critic"
    critic: RunPath
    num_steps: int = 0
    explained_variance: float = float("nan")


class RlResult(StageResult):
    """A policy, and with some algorithms the critic that learnt beside it."""

    kind = "rl"
    policy: PolicyState
    critic: RunPath | None = None
    mismatch_kl_max: float = float("nan")
    reward_mean_last: float = float("nan")
    proof: Proof | None = None


class HarvestResult(StageResult):
    """Supervised rows for the next round (``rows``: their file, None where none was kept), and how they were found."""

    kind = "harvest"
    rows: RunPath | None = None
    spot_check: RunPath | None = None  # kept and dropped responses with reasons, JSONL
    num_prompts_sampled: int = 0
    num_known: int = 0  # of these, those that RL had sampled enough of late
    num_hard: int = 0
    num_hopeless: int = 0  # of these, those that were given up
    num_rollouts: int = 0
    num_of_fixed: int = 0  # rollouts if no prompt had stopped early
    num_correct: int = 0
    num_kept: int = 0
    dropped: dict[str, int] = {}
    by_tag: dict[str, int] = {}
    policy_version: int = 0

    @classmethod
    def _from_version_0(cls, result: dict[str, Any], stage_path: Path) -> dict[str, Any]:
        files = [stage_path / name for name in ROWS_FILES_BEFORE]
        return {"rows": next((file for file in files if file.is_file()), None), **result}


class CaptionResult(StageResult):
    """What the policy says of every prompt's pictures: ``captions`` has prompt_id and caption."""

    kind = "caption"
    captions: RunPath
    num_captions: int = 0
    num_cut: int = 0  # by the limit of tokens
    num_dropped: int = 0  # too long for the sampler


class ProfileResult(StageResult):
    """Pass rates of a prompt set under one policy. ``prompts`` has a row a prompt; see the stage."""

    kind = "profile"
    prompts: RunPath
    shown: str = "whole"
    num_prompts: int = 0
    num_rollouts: int = 0
    num_of_fixed: int = 0  # rollouts if no prompt had stopped early
    num_unjudged: int = 0
    num_unreadable: int = 0  # answers without a readable form: wrong whatever they say
    num_dropped: int = 0  # too long for the sampler
    num_not_asked: int = 0  # without a picture, where none is shown
    band: tuple[float, float] = (0.0, 1.0)
    decisions: dict[str, int] = {}

    @property
    def mostly_unreadable(self) -> bool:
        return 2 * self.num_unreadable > self.num_rollouts
