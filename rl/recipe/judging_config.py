"""The recipe of judging: verifier processes, and a reward model for what no rule can judge."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from rl.recipe.data_config import PreferenceDataConfig
from rl.recipe.section import Section
from rl.recipe.trainer_config import ScheduleConfig
from sampler.vllm_pool.sampler_config import SamplerConfig

RewardModelKind = Literal["pairwise", "scalar"]


class RewardTrainingConfig(Section):
    """How a reward model learns from preferences."""

    kind: RewardModelKind = Field(
        "pairwise",
        description="pairwise: asked which of two answers is better; scalar: a Bradley-Terry score for each answer",
    )
    data: PreferenceDataConfig
    epochs: float = Field(1.0, gt=0, description="passes over the pairs")
    batch_size: int = Field(
        64,
        ge=1,
        description="an optimizer step's pairs, or of the pairwise kind comparisons, one in each order",
    )
    schedule: ScheduleConfig = ScheduleConfig(lr=1e-5, min_lr=1e-6, warmup_frac=0.1)
    max_pairs_per_list: int | None = Field(None, ge=1, description="pairs drawn from a list; none: all")
    checkpoint_every_steps: int | None = Field(None, ge=1, description="for going on after a kill")


class RewardModelConfig(Section):
    """The reward model that judges general prompts, of the kind its checkpoint is, and the workers that serve it."""

    path: str | None = Field(
        None, description="checkpoint directory in the hub layout, as `hone reward-model train` leaves it"
    )
    training: RewardTrainingConfig | None = Field(
        None, description="without a path: trained in the run, from the policy of the first SFT"
    )
    sampler: SamplerConfig = SamplerConfig()
    max_position_bias_frac: float = Field(
        0.1,
        ge=0,
        le=1,
        description="pairs whose two orders name different winners; above it `hone doctor` fails",
    )

    @model_validator(mode="after")
    def _one_origin(self) -> RewardModelConfig:
        if (self.path is None) == (self.training is None):
            raise ValueError("give reward_model.path or reward_model.training, one of the two")
        return self


class JudgingConfig(Section):
    """How final answers become rewards."""

    num_workers: int = Field(1, ge=1, description="verifier processes (of each node, with per_node)")
    per_node: bool = Field(
        False, description="judge on every node of the cluster, not only on the node of the controller"
    )
    timeout_s: float = Field(5.0, gt=0, description="wall clock for one verdict; then the process is killed")
    reward_model: RewardModelConfig | None = Field(
        None, description="judges prompts that have no verifier, by comparison with their reference"
    )
    max_unjudged_frac: float = Field(
        0.05, ge=0, le=1, description="timeouts and errors above this stop the run"
    )
    expects_thought: bool = Field(
        True, description="a response without <think> tags is broken format: reward 0"
    )
    prefilled_think: bool = Field(False, description="the chat template already opened the thought")
