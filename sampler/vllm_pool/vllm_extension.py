"""What vLLM's worker processes can do beyond vLLM: receive weights by shared memory, and say which they were given.

The sampler names `VllmExtension` as vLLM's worker extension, so that every worker process imports this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

import sampler.vllm_pool.transfer.shared_memory_transfer  # noqa: F401 - registers the backend
from sampler.vllm_pool.transfer.weight_segment import tensor_checksum


class VllmExtension:
    """Its methods are the worker's own, for `collective_rpc`, whatever the backend of the weight transfer."""

    def watch_weights(self: Any) -> None:
        """Note from now on the checksum of each tensor that the model is handed, by its name."""
        if hasattr(self, "received_checksums"):
            return
        received: dict[str, int] = {}
        self.received_checksums = received
        model = self.weight_transfer_engine.model
        load_weights = model.load_weights

        def noted(weights: Iterable[tuple[str, torch.Tensor]]) -> Iterator[tuple[str, torch.Tensor]]:
            for name, tensor in weights:
                received[name] = tensor_checksum(tensor)
                yield name, tensor

        model.load_weights = lambda weights: load_weights(noted(weights))

    def weight_checksums(self: Any, dtype: str) -> dict[str, int]:
        """Of the weights that came last; of the checkpoint's, in ``dtype``, where none have come."""
        received = getattr(self, "received_checksums", None)
        if received:
            return dict(received)
        found = {}
        for path in sorted(Path(self.model_config.model).glob("*.safetensors")):
            with safe_open(path, framework="pt") as file:
                for name in list(file.keys()):
                    found[name] = tensor_checksum(file.get_tensor(name).to(getattr(torch, dtype)))
        return found
