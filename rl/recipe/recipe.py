"""The recipe: every knob of a run, typed, with its default, its range and its unit. YAML is merged elsewhere."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from rl.recipe.judging_config import JudgingConfig
from rl.recipe.rl_config import CriticConfig, RlConfig
from rl.recipe.section import Section
from rl.recipe.trainer_config import ModelConfig, ScheduleConfig, TrainerConfig
from sampler.vllm_pool.sampler_config import SamplerConfig


class DataConfig(Section):
    """Where prompts and supervised rows come from. Paths may be local files or hub ids."""

    builder: str | None = Field(
        None, description="package.module:function(out_dir, seed=..., **options) -> paths"
    )
    builder_options: dict[str, Any] = Field(
        default_factory=dict, description="what the builder is called with"
    )
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

    @model_validator(mode="after")
    def _one_source(self) -> DataConfig:
        if self.builder is None and (self.train_prompts is None or self.heldout_prompts is None):
            raise ValueError("give data.builder, or both data.train_prompts and data.heldout_prompts")
        return self


class SftConfig(Section):
    """Supervised fine-tuning at the start of a round."""

    epochs: float = Field(2.0, gt=0, description="passes over the rows")
    batch_size: int = Field(16, ge=1, description="rows (packs, with pack_tokens) an optimizer step")
    pack_tokens: int | None = Field(
        None, ge=1, description="rows are packed into sequences of so many tokens; none: a row is a sequence"
    )
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


class RftConfig(Section):
    """Rejection-sampling fine-tuning: the harvest between rounds."""

    num_prompts: int = Field(2000, ge=1, description="candidate prompts that are tried")
    probe_samples: int = Field(4, ge=1, description="samples that tell whether a prompt is hard")
    samples_per_prompt: int = Field(12, ge=1, description="further samples of a hard prompt")
    min_pass_frac: float = Field(0.0, ge=0, le=1, description="hard: pass rate above this ...")
    max_pass_frac: float = Field(0.75, ge=0, le=1, description="... and up to this")
    min_score: float = Field(1.0, ge=0, le=1, description="a response is kept from this score on")
    max_per_prompt: int = Field(2, ge=1, description="responses kept of one prompt")
    max_response_tokens: int = Field(16384, ge=1, description="longer responses are over-thinking: dropped")
    max_repeats: int = Field(8, ge=2, description="a phrase repeated more often in a row is dropped")
    balance_ratio: float = Field(
        3.0, ge=1, description="a question type may have so many times the rows of the median"
    )


class EvaluationConfig(Section):
    """Held-out evaluation before and after every stage."""

    num_prompts: int | None = Field(None, ge=1, description="none: all of them")
    samples_per_prompt: int = Field(4, ge=1, description="pass@1 is their mean")
    temperature: float = Field(1.0, gt=0, description="of sampling")
    top_p: float = Field(1.0, gt=0, le=1, description="of sampling")
    pass_at: tuple[int, ...] = Field((4,), description="the k of pass@k")
    pass_score: float = Field(0.5, gt=0, le=1, description="a score from which a response counts as right")


class SyncConfig(Section):
    """Weights from trainer to sampler, and the proof that they arrived."""

    probe_prompts: int = Field(8, ge=1, description="prompts with pictures on which log-probs are compared")
    probe_tokens: int = Field(16, ge=1, description="tokens compared of each")
    tolerance: float = Field(1e-4, gt=0, description="largest difference of a token's log-prob")
    prove: Literal["every_sync", "every_stage"] = Field("every_stage", description="how often")


class ProgramConfig(Section):
    """How many rounds, and when a round counts."""

    rounds: int = Field(4, ge=1, description="of SFT, RL and, between two rounds, rejection sampling")
    min_gain: float = Field(
        -1.0, description="a round whose held-out pass@1 gains less over the best ends the program"
    )
    collect_after_last: bool = Field(False, description="harvest after the last round too")


class RayConfig(Section):
    """The Ray cluster. With RAY_ADDRESS set in the environment, that cluster is joined instead."""

    num_cpus: int | None = Field(None, ge=1, description="none: those of the machine")
    object_store_mib: int = Field(512, ge=100, description="shared memory for what processes hand each other")


class Recipe(Section):
    """One run. ``hone run RECIPE`` reads it; the resolved form is kept in the run directory."""

    name: str = Field(pattern=r"^[A-Za-z0-9._-]+$", description="letters, digits and . _ -")
    seed: int = Field(1, ge=0, description="of data, weights, shuffles and samples")
    run_dir: str = Field("runs/${name}", description="where everything goes; the same again resumes")
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
        rl = self.rl
        rollouts = rl.rollouts_per_step or rl.prompts_per_step * rl.samples_per_prompt
        if rollouts % (rl.mini_batches * self.trainer.num_ranks):
            given = (
                f"rl.rollouts_per_step ({rollouts})"
                if rl.rollouts_per_step
                else f"rl.prompts_per_step x rl.samples_per_prompt ({rl.prompts_per_step} x {rl.samples_per_prompt})"
            )
            raise ValueError(
                f"{given} must divide evenly into rl.mini_batches x ranks ({rl.mini_batches} x "
                f"{self.trainer.num_ranks})"
            )
        if max(self.evaluation.pass_at, default=1) > self.evaluation.samples_per_prompt:
            raise ValueError("evaluation.pass_at asks for more than evaluation.samples_per_prompt")
        return self
