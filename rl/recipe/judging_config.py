"""The recipe of judging: verifier processes, and a reward model for what no rule can judge."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from reward_models.rubric import Rubric
from rl.recipe.data_config import PreferenceDataConfig
from rl.recipe.section import Section
from rl.recipe.trainer_config import ScheduleConfig
from sampler.vllm_pool.sampler_config import SamplerConfig

RewardModelKind = Literal["pairwise", "scalar", "rubric"]


class RewardTrainingConfig(Section):
    """How a reward model learns from preferences."""

    kind: RewardModelKind = Field(
        "pairwise",
        description="pairwise: asked which of two answers is better; scalar: a Bradley-Terry score for each answer; "
        "rubric: asked whether a criterion is met, learnt from the column `met`",
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


class EndpointConfig(Section):
    """A model behind an OpenAI-compatible chat endpoint, asked in both orders which of two answers is better."""

    url: str = Field(description="http(s)://host/path up to /v1, without a key in it")
    model: str = Field(description="as the endpoint names it")
    api_key_env: str | None = Field(None, description="environment variable that holds the key; none: no key")
    timeout_s: float = Field(60.0, gt=0, description="of one request")
    max_retries: int = Field(4, ge=0, description="further tries where the endpoint is busy or broken")
    max_parallel: int = Field(8, ge=1, description="comparisons under way at once")
    extra_body: dict[str, Any] = Field(
        default_factory=dict, description="fields over the request's own; null leaves one out"
    )


class RubricConfig(Section):
    """Criteria by which a reward model judges one answer, one criterion a question."""

    criteria: dict[str, list[dict[str, Any]]] = Field(
        default_factory=dict,
        description="by question type, else by kind: lists of {name, text, weight, must, sees}; a prompt's own, in "
        "`verifier_options: {rubric: [...]}` of its row, go before them",
    )
    max_verbosity_gain: float = Field(
        0.1,
        ge=0,
        le=1,
        description="what an answer may gain by being said twice, in the mean; above it `hone doctor` fails",
    )

    @property
    def rubric(self) -> Rubric:
        """The criteria, read."""
        return Rubric.of(self.criteria)

    @field_validator("criteria")
    @classmethod
    def _sound(cls, given: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
        Rubric.of(given)
        return given


class RewardModelConfig(Section):
    """What judges general prompts: a checkpoint, of the kind that it is, on workers of its own; an
    endpoint; or code of the user's own."""

    path: str | None = Field(
        None, description="checkpoint directory in the hub layout, as `hone reward-model train` leaves it"
    )
    training: RewardTrainingConfig | None = Field(
        None, description="without a path: trained in the run, from the policy of the first SFT"
    )
    endpoint: EndpointConfig | None = Field(None, description="instead of a checkpoint: a served model")
    name: str | None = Field(
        None, description="one of your own: an entry point of hone.reward_models or package.module:Class"
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="what the one with that name is made with"
    )
    rubric: RubricConfig | None = Field(
        None,
        description="of a checkpoint or an endpoint: asked about criteria, not which of two answers is better",
    )
    sampler: SamplerConfig = SamplerConfig()
    max_position_bias_frac: float = Field(
        0.1,
        ge=0,
        le=1,
        description="pairs whose two orders name different winners; above it `hone doctor` fails",
    )

    @property
    def has_checkpoint(self) -> bool:
        """Whether it is served on workers of its own."""
        return self.endpoint is None and self.name is None

    @model_validator(mode="after")
    def _rubric_is_asked(self) -> RewardModelConfig:
        if self.rubric is not None and self.name is not None:
            raise ValueError(
                "reward_model.rubric is for .path, .training or .endpoint; one of your own has .options"
            )
        if self.training is not None and (self.training.kind == "rubric") != (self.rubric is not None):
            raise ValueError(
                "reward_model.training.kind=rubric and reward_model.rubric belong together: give both"
            )
        return self

    @model_validator(mode="after")
    def _one_origin(self) -> RewardModelConfig:
        origins = (self.path, self.training, self.endpoint, self.name)
        if sum(origin is not None for origin in origins) != 1:
            raise ValueError(
                "give reward_model.path, reward_model.training, reward_model.endpoint or reward_model.name, one of them"
            )
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
