"""One module under DeepSpeed, policy or critic alike: optimizer steps, checkpoints, weights in the hub layout."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import deepspeed
import torch
from omegaconf import OmegaConf

from rl.families.family import ModelFamily
from rl.families.hub_checkpoint import HubCheckpoint
from rl.recipe.trainer_config import TrainerConfig
from rl.trainer.layout import ParallelLayout
from rl.trainer.models.hub_weights import HubWeights
from rl.trainer.models.partitioned import fill, gather_experts_whole, whole_shape
from rl.trainer.rank_work import TrainerSetup

MicroLoss = Callable[[], tuple[torch.Tensor, dict[str, float]]]


class DeepSpeedModel:
    """A DeepSpeed engine over ``module``, whose ``model`` is a family's. Methods are called on all ranks at once."""

    def __init__(self, module: Any, family: ModelFamily, setup: TrainerSetup) -> None:
        """Freeze what is frozen, then start DeepSpeed, whose process group must be there already."""
        self.setup, self.family = setup, family
        frozen = family.frozen_prefixes(freeze_vision=setup.trainer.freeze_vision)
        for name, parameter in module.model.named_parameters():
            if name.startswith(frozen):
                parameter.requires_grad_(False)
        if setup.trainer.gradient_checkpointing:
            module.model.gradient_checkpointing_enable({"use_reentrant": False})
        if self.is_partitioned:
            gather_experts_whole(module, family)
        self.engine, *_ = deepspeed.initialize(
            model=module,
            model_parameters=list(_decay_groups(module, setup.trainer.weight_decay)),
            config=deepspeed_config(setup.trainer, dtype=setup.model.dtype, device=setup.device),
        )
        self.rank, self.layout = torch.distributed.get_rank(), ParallelLayout.of(setup.trainer)
        self.hub_weights = HubWeights(family, module.model, gather=self.is_partitioned)

    def __call__(self, *arguments: Any) -> Any:
        return self.engine(*arguments)

    @property
    def module(self) -> Any:
        return self.engine.module

    @property
    def is_partitioned(self) -> bool:
        """Whether a rank holds but a part of each parameter."""
        return self.setup.is_partitioned

    @property
    def model_sizes(self) -> dict[str, int]:
        """Sizes of the model, whatever part of it this rank holds."""
        sizes = [
            (int(getattr(parameter, "ds_numel", parameter.numel())), parameter.requires_grad)
            for parameter in self.module.parameters()
        ]
        return {
            "num_parameters": sum(size for size, _ in sizes),
            "num_trained_parameters": sum(size for size, trained in sizes if trained),
        }

    def step(self, micro_losses: Sequence[MicroLoss], rate: float) -> dict[str, float]:
        """One optimizer step over the losses of its micro-batches. Returns this rank's metric sums."""
        start = time.perf_counter()
        for group in self.engine.optimizer.param_groups:
            group["lr"] = rate
        metrics: dict[str, float] = {}
        for index, micro_loss in enumerate(micro_losses):
            self.engine.set_gradient_accumulation_boundary(index == len(micro_losses) - 1)
            value, sums = micro_loss()
            self.engine.backward(value)
            sums["loss"] = float(value.detach()) / self.layout.data
            for name, addend in sums.items():
                metrics[name] = metrics.get(name, 0.0) + addend
        self.engine.step()
        metrics["grad_norm"] = float(self.engine.get_global_grad_norm() or 0.0)
        metrics["seconds"] = time.perf_counter() - start
        return metrics

    def reset_optimizer(self) -> None:
        """Forget moments and step counts, and what a master copy has beyond the weights' own precision: a stage starts
        from weights alone, also one that was started again."""
        optimizer = self.engine.optimizer
        optimizer.refresh_fp32_params()
        base = getattr(optimizer, "optimizer", optimizer)
        for state in base.state.values():
            for value in state.values():
                if torch.is_tensor(value):
                    value.zero_()
            if isinstance(state.get("step"), int):
                state["step"] = 0

    def save_checkpoint(self, directory: str, tag: str) -> None:
        """DeepSpeed's own checkpoint, weights and optimizer, for going on inside a stage."""
        self.engine.save_checkpoint(directory, tag=tag)

    def load_checkpoint(self, directory: str, tag: str) -> None:
        """Back to what ``save_checkpoint`` wrote. Raises: RuntimeError where it cannot be read."""
        path, _ = self.engine.load_checkpoint(directory, tag=tag)
        if path is None:
            raise RuntimeError(f"DeepSpeed found no checkpoint {tag!r} in {directory}")

    def load_weights(self, directory: Path) -> None:
        """Those of a checkpoint in the hub layout; the optimizer's master copy follows."""
        fill(self.module.model, HubCheckpoint(self.family, directory), is_partitioned=self.is_partitioned)
        own = [one for name, one in self.module.named_parameters() if not name.startswith("model.")]
        head: Any = deepspeed.zero.GatheredParameters(own, modifier_rank=0, enabled=self.is_partitioned)
        with head:
            self.module.load_head(directory)
        self.engine.optimizer.refresh_fp32_params()

    def export(self, directory: str, *, with_index: bool = False) -> None:
        """The model in the hub layout, as rank 0 alone writes it: safetensors shards with their index, which a single
        file needs only beside other safetensors files."""
        self.hub_weights.save(Path(directory), writes=self.rank == 0, with_index=with_index)

    def gathered(self, part: torch.nn.Module) -> dict[str, torch.Tensor]:
        """A small part's parameters whole and on the CPU: a collective under ZeRO-3."""
        parameters = dict(part.named_parameters())
        whole: Any = deepspeed.zero.GatheredParameters(list(parameters.values()), enabled=self.is_partitioned)
        with whole:
            return {name: parameter.detach().cpu().clone() for name, parameter in parameters.items()}


def _decay_groups(module: torch.nn.Module, weight_decay: float) -> Iterator[dict[str, Any]]:
    """Matrices decay; gains, biases and other vectors do not."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    matrices = [parameter for parameter in trained if len(whole_shape(parameter)) > 1]
    vectors = [parameter for parameter in trained if len(whole_shape(parameter)) <= 1]
    for parameters, decay in ((matrices, weight_decay), (vectors, 0.0)):
        if parameters:
            yield {"params": parameters, "weight_decay": decay}


def deepspeed_config(config: TrainerConfig, *, dtype: str, device: str) -> dict[str, Any]:
    """The DeepSpeed configuration of a trainer section; ``trainer.deepspeed`` is merged over it, mapping by mapping.

    AdamW is torch's, on a GPU its fused kernel: DeepSpeed's own is compiled at start, for which nvcc must be there.
    """
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
        "torch_adam": True,
        "fused": device != "cpu",
    }
    settings = {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,  # the boundary is set by hand: steps differ in micro-batches
        "gradient_clipping": config.clip_grad_norm,
        "zero_optimization": zero,
        "optimizer": {"type": "AdamW", "params": adam},
        "bf16": {"enabled": dtype == "bfloat16"},
        "data_types": {"grad_accum_dtype": "fp32" if config.float32_gradients else None},
        "steps_per_print": 10**9,
    }
    merged: Any = OmegaConf.to_container(OmegaConf.merge(settings, config.deepspeed))
    return merged
