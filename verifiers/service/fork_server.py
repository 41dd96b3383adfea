"""The parent's handle on the zygote: ask it for workers, have it kill them, start another when it dies."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from verifiers.service.worker_end import WorkerEnd

MAX_RESTARTS = 3
KEPT_ENV = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "SYSTEMROOT")
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class ForkServer:
    """One zygote process (`verifiers.service.zygote`) and the control socket to it."""

    def __init__(self, memory_bytes: int, timeout_s: float, log_fd: int) -> None:
        """Workers' standard error goes to ``log_fd``."""
        self._arguments = [str(memory_bytes), str(timeout_s)]
        self._log_fd = log_fd
        self._preloaded: list[str] = []
        self._num_restarts = 0
        self.num_spawning = 0
        self.control: socket.socket
        self.start()

    @property
    def pid(self) -> int:
        """The zygote's process id (for tests and monitoring)."""
        return self._process.pid

    def start(self) -> None:
        """A new zygote with the verifiers' modules that the one before had; no worker yet."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        fd = theirs.fileno()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "verifiers.service.zygote", str(fd), *self._arguments],
            pass_fds=[fd],
            env=_zygote_env(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._log_fd,
        )
        theirs.close()
        self.control = ours
        self.num_spawning = 0
        for key in self._preloaded:
            self._tell({"preload": key})

    def restart(self) -> None:
        """After the zygote died, and its workers with it. Raises `RuntimeError` when that keeps happening."""
        self._num_restarts += 1
        self.stop()
        if self._num_restarts > MAX_RESTARTS:
            raise RuntimeError("its fork server ends as soon as it starts")
        self.start()

    def spawn(self) -> None:
        """Ask for one worker; `receive` gets it."""
        self.num_spawning += 1
        self._tell({"spawn": 1})

    def kill(self, pid: int, *, with_stack: bool = False) -> None:
        """End and reap one worker and all that it started: only the zygote knows its pids to be its own.

        `receive` gets how it ended; ``with_stack``: and where it stood, if it ran still.
        """
        self._tell({"kill": pid, "stack": with_stack})

    def preload(self, key: str) -> None:
        """From now on new workers are born with the modules of this verifier, which some worker could load."""
        if key not in self._preloaded:
            self._preloaded.append(key)
            self._tell({"preload": key})

    def receive(self) -> tuple[int, socket.socket | WorkerEnd] | None:
        """A pid with the new worker's socket, or with how that worker ended; None when the zygote is dead."""
        packet = b""
        descriptors: list[int] = []
        with contextlib.suppress(ConnectionResetError):
            packet, descriptors, _, _ = socket.recv_fds(self.control, 1 << 16, 1)
        if not packet:
            return None
        message = json.loads(packet)
        if not descriptors:
            return message["pid"], WorkerEnd(message["status"], message["stack"])
        self._num_restarts = 0
        self.num_spawning -= 1
        return message["pid"], socket.socket(fileno=descriptors[0])

    def stop(self) -> None:
        """Close the socket, which ends the zygote and its workers, and wait for that."""
        self.control.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _tell(self, request: dict[str, Any]) -> None:
        # A dead zygote is noticed where its socket is read.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.control.send(json.dumps(request).encode())


def _zygote_env() -> dict[str, str]:
    """A small environment: nothing secret, the parent's import path, one thread for numerical libraries."""
    env = {name: os.environ[name] for name in KEPT_ENV if name in os.environ}
    env.update(dict.fromkeys(_ONE_THREAD, "1"))
    env["PYTHONPATH"] = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    return env
