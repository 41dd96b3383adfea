"""The trainer's parameters as the hub lays them out: what is exported, and what is sent to vLLM."""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import deepspeed
import torch
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors.torch import save_file
from torch import nn
from vllm.distributed.weight_transfer.base import ParamMeta, WeightSource

from rl.families.family import ModelFamily
from rl.run.ray_session import free_port
from rl.trainer.models.partitioned import whole_shape


class HubWeights(WeightSource):
    """All parameters by hub name, gathered one at a time under ZeRO-3: a collective, so every rank iterates."""

    def __init__(self, family: ModelFamily, model: nn.Module, *, gather: bool) -> None:
        self.family = family
        self.model = model
        self.gather = gather

    def metadata(self) -> list[ParamMeta]:
        """Names, types and full shapes, in the order of iteration, without moving anything."""
        described = []
        for name, parameter in self.model.named_parameters():
            layout = self.family.hub_tensors(name, whole_shape(parameter))
            described += [ParamMeta(hub.name, parameter.dtype, hub.shape) for hub in layout]
        return described

    def __iter__(self) -> Iterator[tuple[str, torch.Tensor]]:
        for name, parameter in self.model.named_parameters():
            gathered: Any = deepspeed.zero.GatheredParameters([parameter], enabled=self.gather)
            with gathered:
                yield from self.family.to_hub(name, parameter.detach())

    def save(
        self, directory: Path, *, writes: bool, with_index: bool, max_shard_size: int | str = "5GB"
    ) -> None:
        """All of them as safetensors shards with their index, which a single file gets by ``with_index`` alone. A
        collective as ``__iter__`` is; the rank that ``writes`` holds the tensors of one shard at a time."""
        described = {
            one.name: torch.empty(one.shape, dtype=one.dtype, device="meta") for one in self.metadata()
        }
        split = split_torch_state_dict_into_shards(
            described, filename_pattern="model{suffix}.safetensors", max_shard_size=max_shard_size
        )
        if writes:
            directory.mkdir(parents=True, exist_ok=True)
        shards: dict[str, dict[str, torch.Tensor]] = {file: {} for file in split.filename_to_tensors}
        for name, tensor in self:
            if not writes:
                continue
            file = split.tensor_to_filename[name]
            shards[file][name] = tensor.to("cpu", copy=True)
            if len(shards[file]) == len(split.filename_to_tensors[file]):
                save_file(shards.pop(file), directory / file, metadata={"format": "pt"})
        if writes and (split.is_sharded or with_index):
            index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
            (directory / "model.safetensors.index.json").write_text(json.dumps(index, indent=2))


def open_transfer(
    backend: str, *, rank: int, client: Any, source: WeightSource, num_inference_ranks: int
) -> Any:
    """The trainer's end of vLLM's weight transfer, as vLLM's own factory makes it.

    ``shared_memory`` is Hone's, for one machine; ``nccl`` (split) and ``ipc`` (colocated) are vLLM's, for CUDA.
    """
    from vllm.distributed.weight_transfer import WeightTransferTrainerFactory

    init_info: Any
    if backend == "shared_memory":
        from sampler.vllm_pool.transfer.shared_memory_transfer import SharedMemoryTrainerInitInfo

        init_info = SharedMemoryTrainerInitInfo(rank=rank)
    elif backend == "nccl":
        from ray.util import get_node_ip_address
        from vllm.distributed.weight_transfer.nccl_engine import NCCLTrainerInitInfo

        # The sender is NCCL rank 0 of a group with every inference rank; the other trainer ranks stay outside it.
        init_info = NCCLTrainerInitInfo(
            rank=rank,
            master_address=get_node_ip_address(),
            master_port=free_port(),
            world_size=1 + num_inference_ranks,
        )
    else:
        from vllm.distributed.weight_transfer.ipc_engine import IPCTrainerInitInfo
        from vllm.distributed.weight_transfer.packed_tensor import DEFAULT_PACKED_BUFFER_SIZE_BYTES

        # In pieces of a fixed size: whole, every rank would hold a second model until the end of the sync. The layer of
        # experts of a large model is larger than vLLM's own size, and must fit in one.
        largest = max(one.dtype.itemsize * prod(one.shape) for one in source.metadata())
        init_info = IPCTrainerInitInfo(
            rank=rank,
            packed=True,
            packed_buffer_size_bytes=max(largest, DEFAULT_PACKED_BUFFER_SIZE_BYTES),
        )
    return WeightTransferTrainerFactory.trainer_init(init_info, client=client, source=source)
