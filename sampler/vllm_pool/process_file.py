"""Files and folders outside a run that carry the id of the process they serve: those of a dead one are removed.

Ids are those of a container: what another one left, which may share the folder, is not ours to judge.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path


def process_file(directory: Path, kind: str) -> Path:
    """The path of this process's own: `hone-KIND-NAMESPACE-PID-STARTED`."""
    pid = os.getpid()
    return directory / f"hone-{kind}-{_pid_namespace()}-{pid}-{process_start(pid)}"


def remove_dead(directory: Path, kind: str) -> list[Path]:
    """Remove what this user's dead processes left of a kind; return what was removed."""
    removed, own = [], f"hone-{kind}-{_pid_namespace()}"
    for path in directory.glob(f"{own}-*"):
        match = re.fullmatch(rf"{own}-(?P<pid>\d+)-(?P<started>\d+)(-\d+)?", path.name)
        if not match or process_start(int(match["pid"])) == int(match["started"]):
            continue
        if path.lstat().st_uid == os.getuid():
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
            removed.append(path)
    return removed


def _pid_namespace() -> int:
    """In which the ids of this process and of those it can see are counted."""
    return Path("/proc/self/ns/pid").stat().st_ino


def process_start(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None when there is no such process.

    Ticks rather than a date: a date is derived from the wall clock and moves when that is set.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(stat.rpartition(")")[2].split()[19])
