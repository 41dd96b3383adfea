"""The recipe of a reward model: what it is trained from, on which preferences, and how long."""

from __future__ import annotations

from pydantic import Field

from rl.recipe.judging_config import RewardTrainingConfig
from rl.recipe.recipe import RayConfig
from rl.recipe.trainer_config import ModelConfig, TrainerConfig
from sampler.vllm_pool.sampler_config import SamplerConfig


class RewardRecipe(RewardTrainingConfig):
    """`hone reward-model train RECIPE` reads it; the resolved form is kept in the run directory."""

    name: str = Field(pattern=r"^[A-Za-z0-9._-]+$", description="letters, digits and . _ -")
    seed: int = Field(1, ge=0, description="of data, weights and shuffles")
    run_dir: str = Field("runs/${name}", description="where everything goes; the same again resumes")
    model: ModelConfig = ModelConfig()
    trainer: TrainerConfig = TrainerConfig()
    sampler: SamplerConfig = Field(SamplerConfig(), description="the workers that serve it for the report")
    ray: RayConfig = RayConfig()
