"""`hone view`: the viewer on a socket of this machine, or of a network where it was told to."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import uvicorn

from recipes.view.guard import Keys
from recipes.view.opened import Opened
from recipes.view.viewer import Viewer, login_name
from verifiers.errors import BadInput

LOOPBACK = "127.0.0.1"


class ViewServer:
    """A context manager. `with ViewServer([run], port=0) as server: server.serve()`"""

    def __init__(
        self, paths: Sequence[str | Path], port: int, *, host: str = LOOPBACK, author: str = ""
    ) -> None:
        """Raises: BadInput where there is nothing to open, or the port or the host cannot be used."""
        self.keys = Keys.for_host(host)
        self.viewer = Viewer(Opened(paths), self.keys, author or login_name())
        self._socket = _listening(host, port)
        self.host, self.port = host, int(self._socket.getsockname()[1])
        self._server: uvicorn.Server | None = None

    def __enter__(self) -> ViewServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
        self.viewer.opened.close()

    @property
    def url(self) -> str:
        """With the token, where one is needed."""
        name = socket.gethostname() if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104  what was told
        name = f"[{name}]" if ":" in name else name
        return f"http://{name}:{self.port}/" + (f"?token={self.keys.access}" if self.keys.access else "")

    def serve(self) -> None:
        """Until it is interrupted or told to `stop`."""
        config = uvicorn.Config(
            self.viewer.app(), log_level="error", access_log=False, server_header=False, lifespan="off",
            timeout_graceful_shutdown=1, ws="none",
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._server.run(sockets=[self._socket])

    @property
    def started(self) -> bool:
        """Whether it answers."""
        return self._server is not None and self._server.started

    def stop(self) -> None:
        """From another thread."""
        if self._server is not None:
            self._server.should_exit = True


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as why:
        raise BadInput(
            f"port {port} of {host} cannot be used ({why.strerror or why}): choose another with --port"
        ) from why
