"""What the machine must have before a set-up is worth starting."""

import ctypes
import os
import shutil
import sys
import sysconfig
from pathlib import Path

from tools.checkout import ROOT, STAMP, SetupError

FREE_GB = {"cpu": 8, "cuda": 20}


def loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def check_machine(profile: str) -> None:
    """Fail now, in one line, on what would fail minutes later."""
    name = "python%d.%d" % sys.version_info[:2]
    try:
        import ensurepip  # noqa: F401  (Debian ships both in a package of their own)
        import venv  # noqa: F401
    except ImportError as error:
        raise SetupError(
            f"{name} has no venv module: install it (Debian, Ubuntu: apt install {name}-venv)"
        ) from error
    compiler = os.environ.get("CXX") or "g++"  # where torch looks, when vLLM has it compile a kernel
    if not shutil.which(compiler.split()[0]):
        raise SetupError(
            f"no C++ compiler ({compiler}): vLLM compiles kernels as it runs (apt install g++, or set CXX)"
        )
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        raise SetupError(
            f"no Python.h, which those kernels include: install it (Debian, Ubuntu: apt install {name}-dev)"
        )
    if profile == "cpu" and not loads("libnuma.so.1"):
        raise SetupError(
            "no libnuma, which vLLM's CPU kernels are linked to: install it (Debian, Ubuntu: apt install libnuma1)"
        )
    needed = float(os.environ.get("HONE_MIN_FREE_GB") or FREE_GB[profile])
    free = shutil.disk_usage(ROOT).free / 1e9
    if not STAMP.exists() and free < needed:
        raise SetupError(
            f"{free:.1f} GB of disk are free and the {profile} profile needs {needed:g} GB (HONE_MIN_FREE_GB)"
        )
