"""The recipe of the data: where prompts, supervised rows and preferences come from."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from rl.recipe.section import Section
from sampler.frame_schedule import MAX_TOKENS, TIERS, FilmSampling

SetName = Literal["train", "heldout", "cold_start"]


class BuiltDataConfig(Section):
    """Data that a function makes where files of one's own are not named."""

    builder: str | None = Field(
        None, description="package.module:function(out_dir, seed=..., **options) -> paths by name"
    )
    builder_options: dict[str, Any] = Field(
        default_factory=dict, description="what the builder is called with"
    )


class VideoConfig(Section):
    """Which frames of a film are shown: Seed1.5-VL's dynamic frame-resolution sampling (arXiv 2505.07062, 2.2)."""

    fps: float = Field(1.0, gt=0, le=60, description="pictures a second of a film that the model is shown")
    fps_by_type: dict[str, float] = Field(
        default_factory=dict,
        description="the same by question type: the paper has 2 for details in time and 5 for counting and motion",
    )
    tiers: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        TIERS, min_length=1, description="tokens a picture: the highest at which all of a film's pictures fit"
    )
    max_tokens: int = Field(
        MAX_TOKENS, ge=1, description="of a film; beyond, fewer pictures of the lowest tier, evenly spaced"
    )

    @field_validator("fps_by_type")
    @classmethod
    def _positive(cls, fps_by_type: dict[str, float]) -> dict[str, float]:
        if wrong := [name for name, fps in fps_by_type.items() if not 0 < fps <= 60]:
            raise ValueError(f"{wrong[0]}: pictures a second are above 0 and at most 60")
        return fps_by_type

    @property
    def sampling(self) -> FilmSampling:
        return FilmSampling(self.fps, self.fps_by_type, self.tiers, self.max_tokens)


class DataConfig(BuiltDataConfig):
    """Where prompts and supervised rows come from. Paths may be local files or hub ids."""

    train_prompts: str | None = Field(
        None, description="prompt set that RL and rejection sampling draw from; none: the builder's"
    )
    heldout_prompts: str | None = Field(
        None, description="prompt set that is only ever evaluated on; none: the builder's"
    )
    cold_start: str | None = Field(
        None, description="supervised rows of the first SFT; none: the builder's, if it makes any"
    )
    curation: str | None = Field(
        None,
        description="file of curation events, or a run that has some: rejected prompts are left out, corrected ones "
        "judged by the correction; events beside a prompt set (F.curation.jsonl) count without being named",
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="your sets' own names for Hone's columns, such as {messages: question, reference: answer}",
    )
    default_verifier: str | None = Field(
        None, description="judges the verifiable rows of your sets that name no verifier"
    )
    default_verifier_options: dict[str, Any] = Field(
        default_factory=dict, description="options of data.default_verifier"
    )
    split: str | dict[SetName, str] | None = Field(
        None, description="split of your folders and hub sets: one for all, or {train: train, heldout: test}"
    )
    max_prompt_tokens: int = Field(8192, ge=1, description="longer prompts are counted and dropped")
    video: VideoConfig | None = Field(
        None, description="which frames of a film are shown; none: as the model's own processor chooses"
    )

    @property
    def has_cold_start(self) -> bool:
        """As far as the recipe says: a builder may make none."""
        return self.builder is not None or self.cold_start is not None

    def split_of(self, name: str) -> str | None:
        """The split that the recipe chooses of this set."""
        return self.split.get(name) if isinstance(self.split, dict) else self.split  # type: ignore[call-overload]

    @model_validator(mode="after")
    def _readings_have_a_set(self) -> DataConfig:
        if self.default_verifier_options and self.default_verifier is None:
            raise ValueError("data.default_verifier_options are of data.default_verifier, which is not set")
        readings = {"columns": self.columns, "default_verifier": self.default_verifier, "split": self.split}
        given = next((name for name, value in readings.items() if value), None)
        if given and not (self.train_prompts or self.heldout_prompts or self.cold_start):
            raise ValueError(
                f"data.{given} is of sets that the recipe names, and it names none but a builder"
            )
        return self

    @model_validator(mode="after")
    def _one_source(self) -> DataConfig:
        if self.builder is None and (self.train_prompts is None or self.heldout_prompts is None):
            raise ValueError("give data.builder, or both data.train_prompts and data.heldout_prompts")
        return self


class PreferenceDataConfig(BuiltDataConfig):
    """Where the preference lists come from: files of one's own, or a builder's."""

    train: str | None = Field(None, description="lists to learn from; none: the builder's")
    heldout: str | None = Field(None, description="lists to be reported on; none: the builder's")

    @model_validator(mode="after")
    def _something_is_given(self) -> PreferenceDataConfig:
        if self.builder is None and (self.train is None or self.heldout is None):
            raise ValueError("give data.builder, or both data.train and data.heldout")
        return self
