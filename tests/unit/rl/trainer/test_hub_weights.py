"""Weights as the hub lays them out, written by one rank of many."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from rl.families.family import HubTensor
from rl.trainer.models.hub_weights import HubWeights

KIB = 1024


class Experts:
    """A family whose every parameter is, on the hub, one tensor an expert."""

    def hub_tensors(self, name: str, shape: tuple[int, ...]) -> list[HubTensor]:
        return [HubTensor(f"{name}.{expert}", shape[1:]) for expert in range(shape[0])]

    def to_hub(self, name: str, tensor: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
        for expert, part in enumerate(tensor):
            yield f"{name}.{expert}", part


class Watched(HubWeights):
    """Tells what lies on the disk each time that a tensor is asked for."""

    def __init__(self, model: nn.Module, directory: Path) -> None:
        family: Any = Experts()
        super().__init__(family, model, gather=False)
        self.directory, self.seen = directory, list[int]()

    def __iter__(self) -> Iterator[tuple[str, torch.Tensor]]:
        for pair in super().__iter__():
            self.seen.append(len(list(self.directory.glob("*.safetensors"))))
            yield pair


def model() -> nn.Module:
    """Eight tensors of one KiB each, in three parameters."""
    part = nn.Module()
    for name, experts in (("a", 2), ("b", 3), ("c", 3)):
        part.register_parameter(name, nn.Parameter(torch.randn(experts, 16, 16)))
    return part


def test_a_shard_is_written_as_soon_as_it_is_whole(tmp_path: Path) -> None:
    """So that no more than one is held: a published model has hundreds of gigabytes."""
    weights = Watched(model(), tmp_path)
    weights.save(tmp_path, writes=True, with_index=False, max_shard_size=2 * KIB)
    assert weights.seen == [0, 0, 1, 1, 2, 2, 3, 3]
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    written = {file.name: load_file(file) for file in tmp_path.glob("*.safetensors")}
    assert sorted(written) == [f"model-0000{place}-of-00004.safetensors" for place in (1, 2, 3, 4)]
    assert index["metadata"]["total_size"] == 8 * KIB
    for name, tensor in HubWeights(weights.family, weights.model, gather=False):
        assert torch.equal(written[index["weight_map"][name]][name], tensor)


def test_one_file_has_an_index_only_where_it_is_asked_for(tmp_path: Path) -> None:
    for asked in (False, True):
        weights = Watched(model(), tmp_path / str(asked))
        weights.save(weights.directory, writes=True, with_index=asked)
        assert len(load_file(weights.directory / "model.safetensors")) == 8
        assert (weights.directory / "model.safetensors.index.json").exists() == asked


def test_a_rank_that_writes_nothing_holds_no_weights(tmp_path: Path) -> None:
    """It takes part in the gathering of all of them."""
    weights = Watched(model(), tmp_path)
    weights.save(tmp_path / "policy", writes=False, with_index=True)
    assert len(weights.seen) == 8 and not list(tmp_path.iterdir())
