"""The recipe: every knob of a run, typed, with its default, its range and its unit. YAML is merged elsewhere."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from sampler.sampler_config import SamplerConfig


class Section(BaseModel):
    """A part of a recipe. Unknown keys are errors; a validated recipe never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelConfig(Section):
    """Which policy is trained."""

    family: str = "qwen3_vl_moe"
    path: str | None = Field(
        None, description="checkpoint directory in the hub layout; none: a tiny random instance"
    )
    tiny: dict[str, int] = Field(default_factory=dict, description="sizes of the tiny instance that differ")
    dtype: Literal["float32", "bfloat16"] = "float32"
    attention: str = Field("sdpa", description="transformers' attention implementation in the trainer")


class DataConfig(Section):
    """Where prompts and supervised rows come from. Paths may be local files or hub ids."""

    builder: str | None = Field(
        None, description="package.module:function(out_dir, seed=..., **options) -> paths"
    )
    builder_options: dict[str, Any] = Field(default_factory=dict)
    train_prompts: str | None = None
    heldout_prompts: str | None = None
    cold_start: str | None = None
    max_prompt_tokens: int = Field(8192, ge=1, description="longer prompts are counted and dropped")

    @model_validator(mode="after")
    def _one_source(self) -> DataConfig:
        if self.builder is None and (self.train_prompts is None or self.heldout_prompts is None):
            raise ValueError("give data.builder, or both data.train_prompts and data.heldout_prompts")
        return self


class RewardModelConfig(Section):
    """The pairwise reward model that judges general prompts, and the vLLM workers that serve it."""

    path: str = Field(
        description="checkpoint directory in the hub layout, as `hone reward-model train` leaves it"
    )
    sampler: SamplerConfig = SamplerConfig()


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


class TrainerConfig(Section):
    """The DeepSpeed ranks."""

    num_nodes: int = Field(1, ge=1)
    ranks_per_node: int = Field(1, ge=1)
    threads_per_rank: int = Field(2, ge=1, description="CPU threads of a rank")
    zero_stage: Literal[1, 2, 3] = 1
    offload: Literal["none", "optimizer", "parameters"] = "none"
    micro_batch_tokens: int = Field(8192, ge=1, description="padded tokens a rank takes at a time")
    layout: Literal["padded", "packed"] = Field(
        "padded", description="packed needs an attention that takes lengths"
    )
    freeze_vision: bool = False
    gradient_checkpointing: bool = False
    clip_grad_norm: float = Field(1.0, gt=0)
    adam_betas: tuple[float, float] = (0.9, 0.95)
    adam_eps: float = Field(1e-8, gt=0)
    weight_decay: float = Field(0.1, ge=0)
    image_cache_mib: int = Field(512, ge=0, description="processed pictures a rank keeps")
    deepspeed: dict[str, Any] = Field(
        default_factory=dict, description="merged over the DeepSpeed configuration"
    )

    @property
    def num_ranks(self) -> int:
        return self.num_nodes * self.ranks_per_node


class ScheduleConfig(Section):
    """Linear warm-up, then cosine from ``lr`` to ``min_lr`` over the stage."""

    lr: float = Field(gt=0)
    min_lr: float = Field(0.0, ge=0)
    warmup_frac: float = Field(0.1, ge=0, lt=1)


class SftConfig(Section):
    """Supervised fine-tuning at the start of a round."""

    epochs: float = Field(2.0, gt=0)
    batch_size: int = Field(16, ge=1, description="sequences an optimizer step")
    schedule: ScheduleConfig = ScheduleConfig(lr=2e-5, min_lr=2e-6, warmup_frac=0.1)
    later_epochs: float | None = Field(
        None, gt=0, description="epochs of rounds after the first; none: the same"
    )
    later_lr: float | None = Field(
        None, gt=0, description="peak rate of rounds after the first; none: the same"
    )
    later_cold_start_frac: float = Field(
        1.0, ge=0, le=1, description="cold-start rows that later rounds still train on, beside the harvests"
    )
    start_from: Literal["base", "previous"] = Field(
        "base", description="what rounds after the first start from"
    )
    checkpoint_every_steps: int | None = Field(None, ge=1, description="for going on inside a stage")


class LossConfig(Section):
    """The policy loss, by verl's name, and what is added to it."""

    policy_loss: str = "vanilla"
    clip_low: float = Field(0.2, gt=0)
    clip_high: float = Field(0.2, gt=0)
    aggregation: Literal["token-mean", "seq-mean-token-sum", "seq-mean-token-mean"] = "token-mean"
    kl_estimator: Literal["k1", "k2", "k3", "abs"] = "k3"
    kl_coef_verifiable: float = Field(0.0, ge=0)
    kl_coef_general: float = Field(1e-5, ge=0)
    kl_in: Literal["loss", "reward"] = Field(
        "loss", description="KL to the reference as a term of the loss, or taken off each token's reward"
    )
    entropy_coef: float = 0.0
    positive_nll_coef: float = Field(
        0.0, ge=0, description="weight of the likelihood of right responses (VAPO: 0.1)"
    )
    importance: Literal["none", "truncate", "mask"] = Field(
        "none", description="weigh tokens by trainer over sampler probability: cut at the cap, or 0 beyond it"
    )
    importance_cap: float = Field(
        2.0, ge=1, description="largest weight; with mask, 1 / cap is the smallest too"
    )
    value_clip: float | None = Field(
        None, gt=0, description="how far a value may move from the old one; none: as far as it likes"
    )


class RlConfig(Section):
    """Online RL after the SFT of a round."""

    steps: int = Field(100, ge=1, description="rollout batches a stage")
    prompts_per_step: int = Field(512, ge=1)
    samples_per_prompt: int = Field(8, ge=1)
    samples_per_general_prompt: int = Field(1, ge=1, description="of prompts that a reward model judges")
    mini_batches: int = Field(8, ge=1, description="optimizer steps a rollout batch")
    advantage: str = Field("grpo", description="a name in verl's advantage registry")
    normalize_by_std: bool = True
    gamma: float = Field(1.0, gt=0, le=1, description="discount a token")
    lambda_actor: float | Literal["length_adaptive"] = Field(
        1.0, description="lambda of the advantages; length_adaptive: 1 - 1 / (alpha x length), at least 0"
    )
    lambda_critic: float = Field(1.0, ge=0, le=1, description="lambda of the returns a critic learns")
    length_adaptive_alpha: float = Field(
        0.05, gt=0, description="alpha of the length-adaptive lambda (VAPO: 0.05)"
    )
    whiten_advantages: bool = Field(
        True, description="a critic's advantages to mean 0 and variance 1 over the tokens of a rollout batch"
    )
    reward_weights: dict[str, float] = Field(
        default_factory=dict, description="weight of a score by verifier, else by kind of prompt, else 1"
    )
    unparseable_penalty: float = Field(
        0.0, ge=0, description="taken off the reward where the verifier cannot read the answer"
    )
    overlong_cache_tokens: int = Field(
        0, ge=0, description="the last tokens before the limit, over which the reward falls by 1; 0: off"
    )
    dynamic_sampling: bool = Field(
        False, description="groups of equal rewards are dropped and other prompts drawn for them"
    )
    max_refills: int = Field(2, ge=0, description="further draws a step for groups that were dropped")
    schedule: ScheduleConfig = ScheduleConfig(lr=6e-7, warmup_frac=0.0)
    loss: LossConfig = LossConfig()
    temperature: float = Field(1.0, gt=0)
    top_p: float = Field(1.0, gt=0, le=1)
    max_response_tokens: int = Field(16384, ge=1)
    checkpoint_every_steps: int | None = Field(None, ge=1, description="for going on inside a stage")
    max_mismatch_kl: float = Field(
        0.05, gt=0, description="above it, sampler and trainer disagree: the run stops"
    )

    @field_validator("lambda_actor", mode="before")
    @classmethod
    def _number_or_rule(cls, given: Any) -> Any:
        if given == "length_adaptive" or (isinstance(given, int | float) and 0 <= given <= 1):
            return given
        raise ValueError(f"{given!r} is neither a number from 0 to 1 nor length_adaptive")

    @model_validator(mode="after")
    def _cache_fits(self) -> RlConfig:
        if self.overlong_cache_tokens > self.max_response_tokens:
            raise ValueError(
                f"rl.overlong_cache_tokens={self.overlong_cache_tokens} is more than "
                f"rl.max_response_tokens={self.max_response_tokens}"
            )
        return self


class CriticConfig(Section):
    """The critic of PPO; used where ``rl.advantage`` takes values (gae, decoupled_gae)."""

    init_from: str | None = Field(
        None, description="checkpoint of a reward model or critic; none: the policy before RL"
    )
    schedule: ScheduleConfig = ScheduleConfig(lr=7.5e-7, warmup_frac=0.0)
    pretrain_steps: int = Field(100, ge=0, description="most steps on rollouts of the SFT policy; 0: none")
    settle_window: int = Field(
        10, ge=0, description="steps over which explained variance is averaged; 0: never stop early"
    )
    settle_gain: float = Field(
        0.01,
        description="pre-training ends when a window explains less than so much more than the one before",
    )


class RftConfig(Section):
    """Rejection-sampling fine-tuning: the harvest between rounds."""

    num_prompts: int = Field(2000, ge=1, description="candidate prompts that are tried")
    probe_samples: int = Field(4, ge=1, description="samples that tell whether a prompt is hard")
    samples_per_prompt: int = Field(12, ge=1, description="further samples of a hard prompt")
    min_pass_frac: float = Field(0.0, ge=0, le=1, description="hard: pass rate above this ...")
    max_pass_frac: float = Field(0.75, ge=0, le=1, description="... and up to this")
    min_score: float = Field(1.0, ge=0, le=1, description="a response is kept from this score on")
    max_per_prompt: int = Field(2, ge=1)
    max_response_tokens: int = Field(16384, ge=1, description="longer responses are over-thinking: dropped")
    max_repeats: int = Field(8, ge=2, description="a phrase repeated more often in a row is dropped")
    balance_ratio: float = Field(
        3.0, ge=1, description="a question type may have so many times the rows of the median"
    )


class EvaluationConfig(Section):
    """Held-out evaluation before and after every stage."""

    num_prompts: int | None = Field(None, ge=1, description="none: all of them")
    samples_per_prompt: int = Field(4, ge=1)
    temperature: float = Field(1.0, gt=0)
    top_p: float = Field(1.0, gt=0, le=1)
    pass_at: tuple[int, ...] = (4,)
    pass_score: float = Field(0.5, gt=0, le=1, description="a score from which a response counts as right")


class SyncConfig(Section):
    """Weights from trainer to sampler, and the proof that they arrived."""

    probe_prompts: int = Field(8, ge=1, description="prompts with pictures on which log-probs are compared")
    probe_tokens: int = Field(16, ge=1)
    tolerance: float = Field(1e-4, gt=0, description="largest difference of a token's log-prob")
    prove: Literal["every_sync", "every_stage"] = "every_stage"


class ProgramConfig(Section):
    """How many rounds, and when a round counts."""

    rounds: int = Field(4, ge=1)
    min_gain: float = Field(
        -1.0, description="a round whose held-out pass@1 gains less over the best ends the program"
    )
    collect_after_last: bool = Field(False, description="harvest after the last round too")


class RayConfig(Section):
    """The Ray cluster. With RAY_ADDRESS set in the environment, that cluster is joined instead."""

    num_cpus: int | None = Field(None, ge=1)
    object_store_mib: int = Field(512, ge=100)


class Recipe(Section):
    """One run. ``hone run RECIPE`` reads it; the resolved form is kept in the run directory."""

    name: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    seed: int = Field(1, ge=0)
    run_dir: str = "runs/${name}"
    model: ModelConfig = ModelConfig()
    data: DataConfig
    sampler: SamplerConfig = SamplerConfig()
    judging: JudgingConfig = JudgingConfig()
    trainer: TrainerConfig = TrainerConfig()
    sft: SftConfig = SftConfig()
    rl: RlConfig = RlConfig()
    critic: CriticConfig = CriticConfig()
    rft: RftConfig = RftConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    sync: SyncConfig = SyncConfig()
    program: ProgramConfig = ProgramConfig()
    ray: RayConfig = RayConfig()

    @model_validator(mode="after")
    def _sizes_fit(self) -> Recipe:
        if (
            self.rl.prompts_per_step
            * self.rl.samples_per_prompt
            % (self.rl.mini_batches * self.trainer.num_ranks)
        ):
            raise ValueError(
                f"rl.prompts_per_step x rl.samples_per_prompt ({self.rl.prompts_per_step} x "
                f"{self.rl.samples_per_prompt}) must divide evenly into rl.mini_batches x ranks "
                f"({self.rl.mini_batches} x {self.trainer.num_ranks})"
            )
        if max(self.evaluation.pass_at, default=1) > self.evaluation.samples_per_prompt:
            raise ValueError("evaluation.pass_at asks for more than evaluation.samples_per_prompt")
        return self
