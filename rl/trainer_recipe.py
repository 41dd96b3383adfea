"""The recipe of the trainer: which policy, on how many ranks, at what rate."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from rl.recipe_section import Section


class ModelConfig(Section):
    """Which policy is trained."""

    family: str = "qwen3_vl_moe"
    path: str | None = Field(
        None, description="checkpoint directory in the hub layout; none: a tiny random instance"
    )
    tiny: dict[str, int] = Field(default_factory=dict, description="sizes of the tiny instance that differ")
    dtype: Literal["float32", "bfloat16"] = "float32"
    attention: str = Field("sdpa", description="transformers' attention implementation in the trainer")


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
