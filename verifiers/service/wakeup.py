"""A bell that one thread rings and another waits for together with sockets."""

from __future__ import annotations

import contextlib
import socket


class Wakeup:
    """A pair of sockets; register the bell (it has a `fileno`) for reading."""

    def __init__(self) -> None:
        self._receiver, self._sender = socket.socketpair()
        self._receiver.setblocking(False)

    def fileno(self) -> int:
        return self._receiver.fileno()

    def ring(self) -> None:
        """From any thread."""
        with contextlib.suppress(OSError):
            self._sender.send(b"w")

    def rung(self, _events: int) -> None:
        """Silence it: what a selector calls."""
        with contextlib.suppress(BlockingIOError):
            self._receiver.recv(4096)

    def close(self) -> None:
        self._receiver.close()
        self._sender.close()
