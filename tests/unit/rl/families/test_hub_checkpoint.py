"""A checkpoint read parameter by parameter is the model that transformers loads; what it lacks is named."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from rl.families.family import load_family
from rl.families.hub_checkpoint import HubCheckpoint
from verifiers.errors import BadInput

FAMILY = load_family("qwen3_vl_moe")
NORM = "model.language_model.norm.weight"


def shapes_of(model: Any) -> dict[str, tuple[int, ...]]:
    return {name: tuple(one.shape) for name, one in model.named_parameters()}


def changed(hub: Path, where: Path, tensor: torch.Tensor | None) -> Path:
    """The checkpoint with another tensor in place of one, or without it."""
    shutil.copytree(hub, where)
    weights = load_file(hub / "model.safetensors")
    del weights[NORM]
    save_file(weights | ({} if tensor is None else {NORM: tensor}), where / "model.safetensors")
    return where


def test_it_holds_what_transformers_loads(hub: Path, tiny: Any) -> None:
    checkpoint, shapes = HubCheckpoint(FAMILY, hub), shapes_of(tiny.model)
    checkpoint.require(shapes)
    for name, parameter in tiny.model.named_parameters():
        assert torch.equal(checkpoint.parameter(name, shapes[name]), parameter), name


def test_what_it_lacks_is_named(hub: Path, tiny: Any, tmp_path: Path) -> None:
    shapes = shapes_of(tiny.model)
    for name, tensor, said in (
        ("without", None, f"has no {NORM}"),
        ("other", torch.zeros(3), rf"{NORM} is \[3\], its config.json says \[{shapes[NORM][0]}\]"),
    ):
        with pytest.raises(BadInput, match=said):
            HubCheckpoint(FAMILY, changed(hub, tmp_path / name, tensor)).require(shapes)


def test_a_new_model_is_the_loaded_one_but_for_its_weights(hub: Path, tiny: Any) -> None:
    """Its tables of positions too, which no checkpoint holds."""
    new = FAMILY.new_model(hub, dtype=torch.float32, attention="sdpa")
    assert shapes_of(new) == shapes_of(tiny.model)
    buffers = dict(new.named_buffers())
    assert buffers and all(torch.equal(one, buffers[name]) for name, one in tiny.model.named_buffers())
    with torch.device("meta"):
        empty = FAMILY.new_model(hub, dtype=torch.float32, attention="sdpa")
    assert all(parameter.is_meta for parameter in empty.parameters())
