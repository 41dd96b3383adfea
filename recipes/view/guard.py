"""Who may ask the viewer, and who may write: an ASGI layer in front of every page."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from hmac import compare_digest
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; script-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # without one a form names no origin
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens there."""
    return host in ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Keys:
    """Secrets of one server: ``access`` opens it where others than this machine can reach it, else it is empty;
    ``write`` stands in every form of its pages, where no other site can read it."""

    access: str = ""
    write: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    @classmethod
    def for_host(cls, host: str) -> Keys:
        """Localhost needs no key to look."""
        return cls("" if is_loopback(host) else secrets.token_urlsafe(24))

    def may_write(self, given: str) -> bool:
        """Whether a form came from one of our own pages."""
        return compare_digest(given.encode(), self.write.encode())


class Guard:
    """Refuses who asks under a foreign name (a web page elsewhere can point a name of its own at this machine), who has
    no key where one is needed, and what another site sends; puts the security headers on all answers."""

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self.app, self.keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refused = self._refused(scope)
        await (self.app if refused is None else refused)(scope, receive, send_with_headers)

    def _refused(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self.keys.access and host.rsplit(":", 1)[0] not in LOOPBACK:
            return PlainTextResponse("ask this machine by its own name: http://127.0.0.1", 421)
        if scope["method"] not in ("GET", "HEAD") and not _own_site(headers, host):
            return PlainTextResponse("sent by another site", 403)
        return self._without_key(scope, headers) if self.keys.access else None

    def _without_key(self, scope: Scope, headers: Headers) -> Response | None:
        query = parse_qs(scope["query_string"].decode("latin-1"))
        given = query.pop("token", [""])[0]
        if given and self._opens(given):
            rest = urlencode(query, doseq=True)
            answer = RedirectResponse("/" + scope["path"].lstrip("/\\") + (f"?{rest}" if rest else ""), 303)
            answer.set_cookie(_cookie_name(headers), given, httponly=True, samesite="lax")
            return answer
        return (
            None if self._opens(_cookie(headers)) else PlainTextResponse("the address lacks its token", 403)
        )

    def _opens(self, given: str) -> bool:
        return compare_digest(given.encode(), self.keys.access.encode())


def _own_site(headers: Headers, host: str) -> bool:
    """By what the browser says of where a request comes from; a program that says nothing has to know the key."""
    origin = headers.get("origin")
    return (origin is None or urlsplit(origin).netloc == host) and headers.get(
        "sec-fetch-site", "same-origin"
    ) in (
        "same-origin",
        "none",
    )


def _cookie_name(headers: Headers) -> str:
    """With the port of the address: a browser hands the cookies of a host to all its ports, where other viewers are."""
    port = headers.get("host", "").rpartition(":")[2]
    return f"hone_view_{port}" if port.isascii() and port.isdecimal() else "hone_view"


def _cookie(headers: Headers) -> str:
    cookies: Any = SimpleCookie()
    name = _cookie_name(headers)
    try:
        cookies.load(headers.get("cookie", ""))
    except CookieError:
        return ""
    return cookies[name].value if name in cookies else ""
