"""The recipe of a reward model: what it is trained from, on which preferences, and how long."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from rl.recipe import ModelConfig, RayConfig, ScheduleConfig, Section, TrainerConfig
from sampler.sampler_config import SamplerConfig


class PreferenceDataConfig(Section):
    """Where the preference lists come from: files of one's own, or a builder's."""

    builder: str | None = Field(
        None,
        description="package.module:function(out_dir, seed=..., **options) -> paths of train and heldout",
    )
    builder_options: dict[str, Any] = Field(default_factory=dict)
    train: str | None = None
    heldout: str | None = None

    @model_validator(mode="after")
    def _something_is_given(self) -> PreferenceDataConfig:
        if self.builder is None and (self.train is None or self.heldout is None):
            raise ValueError("give data.builder, or both data.train and data.heldout")
        return self


class RewardRecipe(Section):
    """`hone reward-model train RECIPE` reads it; the resolved form is kept in the run directory."""

    name: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    seed: int = Field(1, ge=0)
    run_dir: str = "runs/${name}"
    model: ModelConfig = ModelConfig()
    data: PreferenceDataConfig
    trainer: TrainerConfig = TrainerConfig()
    sampler: SamplerConfig = Field(SamplerConfig(), description="the workers that serve it for the report")
    epochs: float = Field(1.0, gt=0)
    batch_size: int = Field(
        64, ge=1, description="comparisons an optimizer step; each pair comes in both orders"
    )
    schedule: ScheduleConfig = ScheduleConfig(lr=1e-5, min_lr=1e-6, warmup_frac=0.1)
    max_pairs_per_list: int | None = Field(None, ge=1, description="pairs drawn from a list; none: all")
    checkpoint_every_steps: int | None = Field(None, ge=1, description="for going on after a kill")
    ray: RayConfig = RayConfig()
