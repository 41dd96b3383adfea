"""Where workers' tracebacks go: the file that this process's standard error goes to, else a file of its own."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

STDERR_FD = 2
MAX_STACKS = 100


class WorkerLog:
    """A file that the workers' standard error is appended to, and that the service's errors name.

    In a run, whose standard error is a log already, that is the log. Elsewhere it is a temporary file, which goes
    again when the service is closed with nothing in it.
    """

    def __init__(self) -> None:
        self._num_stacks = 0
        found = _file_of_stderr()
        self._temporary = found is None
        if found is not None:
            self.path = found
            self.fd = os.dup(
                STDERR_FD
            )  # not opened anew: whoever writes to either must not overwrite the other
            return
        self.fd, name = tempfile.mkstemp(prefix="hone-verifiers-", suffix=".log")
        self.path = Path(name)

    def add_stack(self, title: str, stack: str) -> None:
        """Keep where a worker stood when it ended, for the first `MAX_STACKS` of them."""
        self._num_stacks += 1
        if stack and self._num_stacks <= MAX_STACKS:
            with contextlib.suppress(OSError):  # a full disk must not end the pool
                os.write(self.fd, f"{title}\n{stack.rstrip()}\n".encode())

    def close(self) -> None:
        """Nothing is written any more."""
        os.close(self.fd)
        if self._temporary:
            with contextlib.suppress(OSError):
                if not self.path.stat().st_size:
                    self.path.unlink()


def _file_of_stderr() -> Path | None:
    """The regular file behind descriptor 2; None for a terminal, a pipe, a file that has gone."""
    with contextlib.suppress(OSError):
        path = Path(f"/proc/self/fd/{STDERR_FD}").readlink()
        if path.is_file() and os.path.samestat(path.stat(), os.fstat(STDERR_FD)):
            return path
    return None
