"""The recipe of a profile: how many samples tell a prompt's pass rate, and what of the prompt is shown."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from rl.recipe.section import Section

Shown = Literal["whole", "blind", "caption"]


class ProfileConfig(Section):
    """How a policy is sampled on a prompt set."""

    samples: int = Field(16, ge=1, description="of a prompt at most")
    pass_samples: int = Field(2, ge=1, description="of a prompt between two decisions whether it needs more")
    band: tuple[float, float] = Field(
        (0.1, 0.75),
        description="a prompt is decided by whether its pass rate is above the one and up to the other",
    )
    sureness: float = Field(
        0.92,
        gt=0.5,
        le=1,
        description="a prompt stops once all samples would so surely decide the same; 1: surely",
    )
    shown: tuple[Shown, ...] = Field(
        ("whole",),
        min_length=1,
        description="one after the other: whole; blind: without pictures and films; caption: a text instead of them",
    )
    captions: str | None = Field(
        None, description="JSONL or Parquet with prompt_id and caption; none: the policy writes them"
    )
    caption_tokens: int = Field(512, ge=1, description="of a caption that the policy writes, at most")
    shard_prompts: int = Field(512, ge=1, description="prompts sampled, judged and logged in one go")

    @model_validator(mode="after")
    def _a_band(self) -> ProfileConfig:
        low, high = self.band
        if not 0 <= low < high <= 1:
            raise ValueError(
                f"profile.band is two pass rates from 0 to 1, the lower first, got {low:g} {high:g}"
            )
        return self
