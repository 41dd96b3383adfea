"""Files and links that a reader sees whole or not at all, whenever the process is killed."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside ``path``, and its folder, to write to. It is renamed to ``path`` when the block
    ends well and removed when it does not; a kill can leave it behind, as ``.NAME.PID.tmp``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """The whole text or the file that was there before."""
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="replace")


def require_writable(path: Path) -> None:
    """Raises: OSError now, and not at the end of the work, where ``path`` cannot be written."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    with suppress(FileNotFoundError), written_whole(path) as temporary:
        temporary.write_text("x")
        temporary.unlink()


def point_to(link: Path, target: Path) -> None:
    """Make or move a link beside or above its target; relative, so that the directory can be moved."""
    temporary = link.with_name(f".{link.name}.tmp")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target.relative_to(link.parent))
    temporary.replace(link)


def exchange(one: Path, other: Path) -> None:
    """Two files or folders take each other's names at one moment: whoever opens either finds the old or the new.

    Raises: OSError where the system or its file system cannot (renameat2, Linux 3.15)."""
    here, exchange_flag = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), str(one))
    if rename(here, os.fsencode(one), here, os.fsencode(other), exchange_flag):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(one))
