"""What every test needs: quiet, offline, and not fighting over the cores; `gpu` tests only where there is one."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

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

# How long an example takes says how busy the machine is.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

HAS_GPU = Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi") is not None
if not HAS_GPU:
    os.environ.setdefault("DS_ACCELERATOR", "cpu")


@pytest.fixture(scope="session")
def video_file(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., bytes]:
    """Encodes frames [n, height, width, 3] RGB as a video, by default without loss (FFV1 in AVI)."""

    def encode(frames: np.ndarray, *, fps: float = 4.0, codec: str = "FFV1", suffix: str = ".avi") -> bytes:
        import cv2

        path = tmp_path_factory.mktemp("video") / f"video{suffix}"
        _, height, width, _ = frames.shape
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, (width, height))
        assert writer.isOpened(), f"this OpenCV cannot write {codec}"
        for frame in frames:
            writer.write(np.ascontiguousarray(frame[..., ::-1]))
        writer.release()
        return path.read_bytes()

    return encode


def pytest_itemcollected(item: pytest.Item) -> None:
    """A test's folder marks it, and `gpu` tests are skipped without a GPU."""
    folder = item.path.relative_to(Path(__file__).parent).parts[0]
    if folder in ("integration", "gpu"):
        item.add_marker(folder)
    if item.get_closest_marker("gpu") and not HAS_GPU:
        item.add_marker(pytest.mark.skip(reason="no GPU: neither /dev/nvidia0 nor nvidia-smi is here"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Side by side (`pytest -n 2`) the programs that build on one undisturbed run share one worker and all else that
    starts engines the other, so that no run is started and no engine loaded twice; programs that stand alone and unit
    tests fill the gaps.

    By path: xdist's own groups are lost under pytest 9, whose items take no new id.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFolder(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            program = "tests/integration/program"
            alone = (f"{program}/test_hybrid.py", f"{program}/test_scalar_run.py")
            scopes = (*alone, program, "tests/integration")
            return next((scope for scope in scopes if nodeid.startswith(scope)), nodeid)

    return ByFolder(config, log)
