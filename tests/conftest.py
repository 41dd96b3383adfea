"""What every test needs: quiet, offline, and not fighting over the cores; `gpu` tests only where there is one."""

import os
import shutil
from pathlib import Path

import pytest

# Set before anything imports torch, ray or vllm, and inherited by every process a test starts.
SETTINGS = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    # On two cores the idle OpenMP threads of a waiting process spin and halve the speed of the one that works.
    "OMP_WAIT_POLICY": "PASSIVE",
    "KMP_BLOCKTIME": "0",
}
for _name, _value in SETTINGS.items():
    os.environ.setdefault(_name, _value)

HAS_GPU = Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi") is not None
if not HAS_GPU:
    os.environ.setdefault("DS_ACCELERATOR", "cpu")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test's folder marks it, and `gpu` tests are skipped without a GPU."""
    here = Path(__file__).parent
    for item in items:
        folder = item.path.relative_to(here).parts[0]
        if folder in ("integration", "gpu"):
            item.add_marker(folder)
        if item.get_closest_marker("gpu") and not HAS_GPU:
            item.add_marker(pytest.mark.skip(reason="needs a GPU"))
