"""One-to-many hub mapping: a checkpoint of single experts is the same model, and comes back as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from rl.families.family import load_family
from verifiers.errors import BadInput

FAMILY = load_family("qwen3_vl_moe_per_expert")


@pytest.fixture(scope="module")
def cut(hub: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny checkpoint with its experts cut apart, by the published layout alone: [E, hidden, 2 * inter] and
    [E, inter, hidden] become matrices [inter, hidden] and [hidden, inter] of each expert."""
    path = tmp_path_factory.mktemp("cut")
    weights = {}
    for name, tensor in load_file(hub / "model.safetensors").items():
        if not name.endswith(("gate_up_proj", "down_proj")) or ".experts." not in name:
            weights[name] = tensor
            continue
        layer, _, part = name.rpartition(".")
        for expert, matrix in enumerate(tensor):
            if part == "down_proj":
                weights[f"{layer}.{expert}.down_proj.weight"] = matrix.T.contiguous()
            else:
                half = matrix.shape[1] // 2
                weights[f"{layer}.{expert}.gate_proj.weight"] = matrix[:, :half].T.contiguous()
                weights[f"{layer}.{expert}.up_proj.weight"] = matrix[:, half:].T.contiguous()
    for file in hub.iterdir():
        if file.suffix != ".safetensors":
            (path / file.name).write_bytes(file.read_bytes())
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    return path


def test_it_is_the_same_model_and_is_exported_as_it_was(cut: Path, tiny: Any) -> None:
    model = FAMILY.load_model(cut, dtype=torch.float32, attention="sdpa")
    fused = dict(tiny.model.named_parameters())
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, fused[name]), name
    exported = dict(
        hub for name, parameter in model.named_parameters() for hub in FAMILY.to_hub(name, parameter.detach())
    )
    written = load_file(cut / "model.safetensors")
    assert exported.keys() == written.keys()
    assert all(torch.equal(exported[name], written[name]) for name in written)


@pytest.mark.parametrize("name", ["qwen3_vl_moe", "qwen3_vl_moe_per_expert"])
def test_the_layout_says_what_the_mapping_does_and_the_way_back_undoes_it(name: str, tiny: Any) -> None:
    family = load_family(name)
    for parameter_name, parameter in tiny.model.named_parameters():
        parts = list(family.to_hub(parameter_name, parameter.detach()))
        assert [
            (hub.name, hub.shape) for hub in family.hub_tensors(parameter_name, tuple(parameter.shape))
        ] == [(part_name, tuple(part.shape)) for part_name, part in parts]
        assert torch.equal(family.from_hub(parameter_name, [part for _, part in parts]), parameter)


def test_a_checkpoint_of_the_other_layout_is_refused(hub: Path) -> None:
    with pytest.raises(
        BadInput, match=r"has no .*experts\.0\.\w+\.weight: is it a checkpoint of model\.family="
    ):
        FAMILY.load_model(hub, dtype=torch.float32, attention="sdpa")


def test_a_tiny_one_is_written_in_its_layout(tmp_path: Path) -> None:
    FAMILY.build_tiny(tmp_path, seed=1, corpus=["a question"], sizes={})
    assert any(".experts.3.up_proj.weight" in name for name in load_file(tmp_path / "model.safetensors"))
    FAMILY.load_model(tmp_path, dtype=torch.float32, attention="sdpa")
