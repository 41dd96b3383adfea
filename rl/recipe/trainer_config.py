"""The recipe of the trainer: which policy, on how many ranks, at what rate."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field, model_validator

from rl.recipe.section import Section


class ModelConfig(Section):
    """Which policy is trained."""

    family: str = Field(
        "qwen3_vl_moe", description="model family: a name, an entry point's, or package.module:Name"
    )
    path: str | None = Field(
        None, description="checkpoint directory in the hub layout; none: a tiny random instance"
    )
    tiny: dict[str, int] = Field(
        default_factory=dict,
        description="sizes of the tiny instance that differ from the family's own, listed by `hone recipe keys model`",
    )
    dtype: Literal["float32", "bfloat16"] = Field("float32", description="of the trainer's weights")
    attention: str = Field(
        "sdpa",
        description="transformers' attention implementation in the trainer, or torch_varlen: torch's flash kernels "
        "for packed rows on a GPU",
    )
    float32_head: bool = Field(
        False, description="the trainer multiplies by the head in float32; see sampler.float32_head"
    )


class TrainerConfig(Section):
    """The DeepSpeed ranks."""

    num_nodes: int = Field(1, ge=1, description="machines that train")
    ranks_per_node: int = Field(1, ge=1, description="processes of a machine, one a GPU")
    threads_per_rank: int = Field(2, ge=1, description="CPU threads of a rank")
    zero_stage: Literal[1, 2, 3] = Field(
        1, description="what ranks share out: optimizer states; gradients too; parameters too"
    )
    offload: Literal["none", "optimizer", "parameters"] = Field(
        "none", description="what lies in CPU memory: the optimizer's states, or the parameters too (ZeRO-3)"
    )
    micro_batch_tokens: int = Field(8192, ge=1, description="padded tokens a rank takes at a time")
    layout: Literal["padded", "packed"] = Field(
        "padded", description="packed needs an attention that takes lengths"
    )
    freeze_vision: bool = Field(False, description="leave the vision encoder as it is; its adapter learns on")
    gradient_checkpointing: bool = Field(
        False, description="compute activations again in the backward pass instead of keeping them"
    )
    clip_grad_norm: float = Field(1.0, gt=0, description="largest norm of a step's gradient")
    adam_betas: tuple[float, float] = Field((0.9, 0.95), description="AdamW's decay of both moments")
    adam_eps: float = Field(1e-8, gt=0, description="AdamW's epsilon")
    weight_decay: float = Field(0.1, ge=0, description="AdamW's decoupled weight decay")
    float32_gradients: bool = Field(
        False, description="add up the gradients of micro-batches in float32 where weights are in bfloat16"
    )
    image_cache_mib: int = Field(512, ge=0, description="processed pictures a rank keeps")
    deepspeed: dict[str, Any] = Field(
        default_factory=dict, description="merged over the DeepSpeed configuration, section by section"
    )

    @property
    def num_ranks(self) -> int:
        """Processes of the trainer."""
        return self.num_nodes * self.ranks_per_node

    @property
    def threads_per_node(self) -> int:
        """CPU threads of a machine's ranks together."""
        return self.ranks_per_node * self.threads_per_rank

    @property
    def data_parallel(self) -> int:
        """The data-parallel degree: how many parts of a batch are trained on at once. Today every rank has one."""
        return self.num_ranks


class ScheduleConfig(Section):
    """Linear warm-up, then cosine from ``lr`` towards ``min_lr``, which the step after the stage's last would have."""

    lr: float = Field(gt=0, description="learning rate after the warm-up")
    min_lr: float = Field(
        0.0,
        ge=0,
        description="learning rate that the cosine falls to: a step after the last one would have it",
    )
    warmup_frac: float = Field(0.1, ge=0, lt=1, description="share of the steps that warm up")

    def rate(self, step: int, num_steps: int) -> float:
        """Of a step, which counts from 0; the first one already moves (no rate of 0)."""
        warmup = round(self.warmup_frac * num_steps)
        if step < warmup:
            return self.lr * (step + 1) / warmup
        progress = (step - warmup) / max(1, num_steps - warmup)
        return self.min_lr + (self.lr - self.min_lr) * 0.5 * (1 + math.cos(math.pi * progress))

    def peaking_at(self, lr: float | None) -> ScheduleConfig:
        """The same with another peak; none: itself."""
        return self if lr is None else self.model_copy(update={"lr": lr})

    def check_later(self, lr: float | None) -> None:
        """Raises: ValueError where ``lr``, the peak of later rounds, is below the rate that they fall to."""
        if lr is not None and lr < self.min_lr:
            raise ValueError(
                f"later_lr={lr:g} is below schedule.min_lr={self.min_lr:g}, so the rate of later rounds would rise: "
                "lower min_lr too"
            )

    @model_validator(mode="after")
    def _falls(self) -> ScheduleConfig:
        if self.min_lr > self.lr:
            raise ValueError(
                f"min_lr={self.min_lr:g} is above lr={self.lr:g}, so the rate would rise: set min_lr too"
            )
        return self
