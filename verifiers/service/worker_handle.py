"""One worker process as the pool sees it: its socket, the jobs it holds, when the first of them is late."""

from __future__ import annotations

import contextlib
import json
import math
import socket
from collections import deque
from typing import Any

from verifiers.case import Job
from verifiers.plain_value import plain_value

_ENCODER = json.JSONEncoder(default=plain_value)


class WorkerHandle:
    """A worker's socket and the jobs it holds, first the one it works on."""

    def __init__(self, pid: int, connection: socket.socket) -> None:
        self.pid = pid
        self.connection = connection
        connection.setblocking(False)
        self.jobs: deque[Job] = deque()
        self.loaded: set[str] = set()  # keys of verifiers
        self.importing: set[str] = (
            set()
        )  # of those that may still have to import something in their next case
        self.last_done = 0.0
        self.num_done = 0
        self.outgoing = bytearray()
        self._incoming = bytearray()

    def deadline(self, timeout_s: float, load_timeout_s: float) -> float:
        """When the first job is late: counted from when it was begun, and longer while its verifier loads."""
        if not self.jobs:
            return math.inf
        job = self.jobs[0]
        return max(job.sent_at, self.last_done) + (load_timeout_s if self.loads(job.key) else timeout_s)

    def loads(self, key: str) -> bool:
        """Whether a case of this verifier may take the time that loading takes."""
        return key not in self.loaded or key in self.importing

    def send(self) -> None:
        """Write what the socket takes now; the rest stays in `outgoing`."""
        with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            sent = self.connection.send(self.outgoing)
            del self.outgoing[:sent]

    def receive(self) -> list[list[Any]] | None:
        """The worker's messages that have come; None when it is dead."""
        try:
            data = self.connection.recv(1 << 18)
        except BlockingIOError:
            return []
        except ConnectionResetError:
            return None
        if not data:
            return None
        self._incoming += data
        *lines, rest = bytes(self._incoming).split(b"\n")
        self._incoming = bytearray(rest)
        return json.loads(b"[" + b",".join(lines) + b"]")


def encode_job(job: Job) -> bytes:
    """The line a worker is sent. Raises `TypeError` or `ValueError` where the case is not plain JSON."""
    case = job.case
    line = _ENCODER.encode([case.case_id, job.key, case.reference, case.answer.text, case.answer.status])
    return line.encode() + b"\n"
