"""A viewer on a real socket, and a browser that knows it."""

from __future__ import annotations

import http.client
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from recipes.view.server import ViewServer


class Browser:
    """Knows one server; no cookies but those it is given."""

    def __init__(self, server: ViewServer) -> None:
        self.server, self.port = server, server.port

    def ask(
        self, path: str, method: str = "GET", body: str | None = None, **headers: str
    ) -> tuple[int, str, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(
                method, path, body, headers={name.replace("_", "-"): text for name, text in headers.items()}
            )
            reply = connection.getresponse()
            return reply.status, reply.read().decode("utf-8", errors="replace"), dict(reply.getheaders())
        finally:
            connection.close()

    def bytes(self, path: str) -> bytes:
        """A file."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            return connection.getresponse().read()
        finally:
            connection.close()

    def show(self, path: str, **query: object) -> str:
        """A page that must be there."""
        status, page, _ = self.ask(path + "?" + urlencode(query))
        assert status == 200, page[-2000:]
        return page

    def decide(self, action: str, prompt_id: str, **fields: str) -> tuple[int, str, dict[str, str]]:
        """As a form of a page of its own sends it."""
        given = {
            "csrf": self.server.keys.write, "run": self.server.viewer.opened.newest, "id": prompt_id, "action": action,
            **fields,
        }  # fmt: skip
        return self.ask("/decide", "POST", urlencode(given))


@contextmanager
def browsing(*paths: Path, **options: Any) -> Iterator[Browser]:
    with ViewServer(paths, 0, author="a curator", **options) as server:
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        for _ in range(200):
            if server.started:
                break
            time.sleep(0.02)
        yield Browser(server)
        server.stop()
        thread.join(timeout=10)


@pytest.fixture(scope="session")
def browse() -> Callable[..., Any]:
    """`with browse(run) as browser:`"""
    return browsing


@pytest.fixture(scope="session")
def whole(whole_run: Path) -> Iterator[Browser]:
    """A browser of a complete run; nothing is written into it."""
    with browsing(whole_run) as browser:
        yield browser


def num_found(page: str) -> int:
    found = re.search(r"<b>([\d,]+)</b>\s+(rollout|prompt)", page)
    assert found is not None
    return int(found[1].replace(",", ""))


@pytest.fixture(name="num_found", scope="session")
def _num_found() -> Callable[[str], int]:
    return num_found
