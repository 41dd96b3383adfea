"""The whole of it on GPUs: preflight in bfloat16, with the trainer on one and the sampler on another."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("backend", ["shared_memory", "nccl"])
def test_doctor(backend: str, tmp_path: Path) -> None:
    """Sampler and trainer agree on the tiny model, whose heads are as long as the flash kernels want them."""
    if torch.cuda.device_count() < 2:
        pytest.skip(f"needs 2 GPUs, there are {torch.cuda.device_count()}")
    overrides = [
        f"run_dir={tmp_path / 'run'}",
        "sampler.device=cuda",
        f"sampler.weight_transfer_backend={backend}",
        "model.dtype=bfloat16",
        "sampler.dtype=bfloat16",
        "model.attention=torch_varlen",
        "trainer.layout=packed",
        "trainer.zero_stage=3",
        "model.float32_head=true",
        "sampler.float32_head=true",
    ]
    recipe = str(ROOT / "tests/data/tiny_program.yaml")
    done = subprocess.run(
        [sys.executable, "-m", "recipes", "doctor", recipe, *overrides],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
