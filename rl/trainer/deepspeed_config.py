"""The DeepSpeed configuration that a recipe's trainer section stands for."""

from __future__ import annotations

from typing import Any

from rl.recipe.trainer_config import TrainerConfig


def deepspeed_config(config: TrainerConfig, *, dtype: str, device: str) -> dict[str, Any]:
    """The DeepSpeed configuration of a trainer section; ``trainer.deepspeed`` is merged over it."""
    zero: dict[str, Any] = {"stage": config.zero_stage}
    if config.offload != "none":
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": device != "cpu"}
    if config.offload == "parameters":
        zero["offload_param"] = {"device": "cpu", "pin_memory": device != "cpu"}
    adam = {
        "lr": 1e-6,
        "betas": list(config.adam_betas),
        "eps": config.adam_eps,
        "weight_decay": config.weight_decay,
    }
    return {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,  # the boundary is set by hand: steps differ in micro-batches
        "gradient_clipping": config.clip_grad_norm,
        "zero_optimization": zero,
        "optimizer": {"type": "AdamW", "params": {**adam, "torch_adam": device == "cpu"}},
        "bf16": {"enabled": dtype == "bfloat16"},
        "steps_per_print": 10**9,
        **config.deepspeed,
    }
