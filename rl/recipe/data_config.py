"""The recipe of the data: where prompts, supervised rows and preferences come from."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from rl.recipe.section import Section


class BuiltDataConfig(Section):
    """Data that a function makes where files of one's own are not named."""

    builder: str | None = Field(
        None, description="package.module:function(out_dir, seed=..., **options) -> paths by name"
    )
    builder_options: dict[str, Any] = Field(
        default_factory=dict, description="what the builder is called with"
    )


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
    max_prompt_tokens: int = Field(8192, ge=1, description="longer prompts are counted and dropped")

    @property
    def has_cold_start(self) -> bool:
        """As far as the recipe says: a builder may make none."""
        return self.builder is not None or self.cold_start is not None

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
