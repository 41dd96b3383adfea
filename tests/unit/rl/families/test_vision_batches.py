"""The vision tower in batches against transformers' own, picture by picture: the same bits, gradients included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from rl.families.family import load_family
from rl.families.qwen3_vl_moe import Patches


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny")
    load_family("qwen3_vl_moe").build_tiny(path, seed=1, corpus=["what is shown"], sizes={})
    return path


GRIDS = {"one size": [[1, 4, 4]] * 5, "sizes and a film": [[1, 4, 4], [1, 2, 6], [2, 4, 2], [1, 4, 4]]}


@pytest.mark.parametrize("grids", GRIDS.values(), ids=GRIDS)
def test_same_features_and_gradients(hub: Path, grids: list[list[int]]) -> None:
    family = load_family("qwen3_vl_moe")
    model: Any = family.load_model(hub, dtype=torch.float32, attention="sdpa")
    visual, grid_thw = model.model.visual, torch.tensor(grids)
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(int(grid_thw.prod(-1).sum()), 3 * 2 * 8 * 8, generator=generator)

    def features(ours: bool) -> list[torch.Tensor]:
        model.zero_grad()
        visual.config._attn_implementation = "not_flash_but_in_batches" if ours else "sdpa"
        if ours:
            found = family.vision_features(model, Patches(pixels, grid_thw, 2))
            merged, deepstack = found.merged, found.deepstack
        else:
            output = visual(pixels, grid_thw=grid_thw, return_dict=True)
            merged, deepstack = output.pooler_output, output.deepstack_features
        (merged.square().sum() + sum(part.sum() for part in deepstack)).backward()
        gradients = [parameter.grad for parameter in visual.parameters() if parameter.grad is not None]
        return [merged, *deepstack, *gradients]

    assert visual.config._attn_implementation == "not_flash_but_in_batches"  # as it is loaded
    theirs, ours = features(False), features(True)
    assert len(theirs) > 20
    assert all(torch.equal(one, other) for one, other in zip(theirs, ours, strict=True))
