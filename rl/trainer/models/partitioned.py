"""ZeRO-3 from the first byte: a model of which each rank only ever holds its part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import deepspeed
import torch
from accelerate import init_empty_weights
from torch import nn

from rl.families.family import ModelFamily
from rl.families.hub_checkpoint import HubCheckpoint


def partitioned_model(
    family: ModelFamily, path: Path, config: dict[str, Any], *, dtype: torch.dtype, attention: str
) -> nn.Module:
    """The model of ``family.load_model``, partitioned as it is made. Rank 0 reads the checkpoint, one parameter at a
    time. ``config`` is DeepSpeed's. Called on all ranks at once.

    Raises: BadInput, on all ranks alike, where the checkpoint lacks a tensor.
    """
    with init_empty_weights(include_buffers=False):
        plain = family.new_model(path, dtype=dtype, attention=attention)
    # The type is the configuration's: one that is given is passed over where the CPU has no float16, for bfloat16.
    with deepspeed.zero.Init(config_dict_or_path=config):
        model = family.new_model(path, dtype=dtype, attention=attention)
    for name, buffer in plain.named_buffers():  # DeepSpeed makes every tensor in ``dtype``, rotary tables too
        owner, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(owner), leaf, buffer.to(model.get_buffer(name).device))
    fill(model, HubCheckpoint(family, path), is_partitioned=True)
    return model


def gather_experts_whole(module: nn.Module, family: ModelFamily) -> None:
    """An expert layer is gathered as one: which experts run differs from rank to rank."""
    names = set(family.expert_modules())
    classes = {type(part) for part in module.modules() if type(part).__name__ in names}
    deepspeed.utils.set_z3_leaf_modules(module, list(classes))


def whole_shape(parameter: nn.Parameter) -> tuple[int, ...]:
    """Of which this rank may hold but a part."""
    return tuple(getattr(parameter, "ds_shape", parameter.shape))


def fill(model: nn.Module, checkpoint: HubCheckpoint, *, is_partitioned: bool) -> None:
    """Copy a checkpoint's parameters into a family's model, one at a time: under ZeRO-3 by rank 0, which the others
    follow.

    DeepSpeed's ``load_module_state_dict`` passes over the small parameters that ZeRO-3 keeps whole, so that their
    partition, and the master copy made from it, would stay the old ones.
    """
    parameters = dict(model.named_parameters())
    shapes = {name: whole_shape(one) for name, one in parameters.items()}
    checkpoint.require(shapes)
    reads = not is_partitioned or torch.distributed.get_rank() == 0
    for name, parameter in parameters.items():
        gathered: Any = deepspeed.zero.GatheredParameters(
            [parameter], modifier_rank=0, enabled=is_partitioned
        )
        with gathered:
            if reads:
                parameter.data.copy_(checkpoint.parameter(name, shapes[name]))
