"""The viewer's addresses: each a question to the opened places, answered as a page. Starlette serves it."""

from __future__ import annotations

import getpass
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from recipes.report.attempt import without_control
from recipes.report.drawing.template import template
from recipes.view.decisions import decide, left_by_people
from recipes.view.export import exported_ids, num_rejected, write_prompt_set
from recipes.view.guard import Guard, Keys
from recipes.view.opened import Opened, Snapshot
from recipes.view.pages.as_seen import seen_page
from recipes.view.pages.curve_page import curve_page
from recipes.view.pages.flip_page import flip_page, stages_of
from recipes.view.pages.prompt_page import policy_labels, prompt_page
from recipes.view.pages.prompt_table import choices, found, neighbours
from recipes.view.pages.rollout_page import RolloutFilter, rollout_page
from recipes.view.pages.token_page import token_page
from recipes.view.place import Place
from recipes.view.prompt_filter import DECISIONS, SORT_WORDS, PromptFilter
from recipes.view.vision_file import SHOWN_PX, encoded_file, for_browser
from sampler.store.decisions.event_log import NotInForce
from sampler.store.selection import MOVES
from verifiers.errors import BadInput, HoneError

PAGES = Path(__file__).parent / "pages"
MAX_FORM_BYTES = 256 * 1024

Query = Mapping[str, str]


class NotThere(BadInput):
    """An address that leads nowhere."""


@dataclass(frozen=True)
class Viewer:
    """What a page is made of: the places, who writes, and the keys."""

    opened: Opened
    keys: Keys
    author: str

    def app(self) -> Starlette:
        """The ASGI application."""
        pages: dict[str, Callable[[Query], Response]] = {
            "/": self.home, "/prompts": self.prompts, "/prompt": self.prompt, "/picture": self.picture,
            "/rollouts": self.rollouts, "/export": self.export, "/flips": self.flips, "/curves": self.curves,
            "/seen": self.seen, "/tokens": self.tokens,
        }  # fmt: skip
        routes = [Route(path, partial(_answered, page)) for path, page in pages.items()]
        routes.append(Route("/decide", self._decide, methods=["POST"]))
        static = StaticFiles(directory=Path(__file__).parent / "static")
        return Starlette(
            routes=[*routes, Mount("/static", static)],
            middleware=[Middleware(Guard, keys=self.keys)],
            exception_handlers={404: _no_page, 405: _no_page},
        )

    def home(self, query: Query) -> Response:
        """The table of the newest place: the held-out prompts, as its best policy answered them; it may have tried no
        others."""
        place = self._place(self.opened.snapshot(), query)
        asked: dict[str, Any] = {"run": place.name}
        if place.best and place.best.get("policy_version") is not None:
            asked |= {"policy": place.best["policy_version"], "split": "heldout"}
        return RedirectResponse("/prompts?" + urlencode(asked), 303)

    def prompts(self, query: Query) -> Response:
        """The table of prompts."""
        wanted, snapshot = PromptFilter.from_query(query), self.opened.snapshot()
        place = self._place(snapshot, query)
        return self._page(
            "prompts.html.j2", snapshot, place,
            wanted=wanted, found=found(snapshot, wanted), num_rejected=num_rejected(snapshot, wanted),
            choices=choices(snapshot, wanted.policy), labels=policy_labels(place), sorts=SORT_WORDS, moves=MOVES,
            decisions=DECISIONS,
        )  # fmt: skip

    def prompt(self, query: Query) -> Response:
        """One prompt; with ``in``, its split, those before and after it in the filter's order."""
        snapshot = self.opened.snapshot()
        wanted, prompt_id, split = PromptFilter.from_query(query), query.get("id", ""), query.get("in")
        place = self._place(snapshot, {"run": query.get("of", "")})
        version = query.get("version", "best")
        page = prompt_page(
            snapshot, place, prompt_id, _number(query, "version") if version != "best" else "best"
        )
        if page is None:
            raise NotThere("no such prompt")
        key = None if split is None else (place.name, split, prompt_id)
        before, after = neighbours(snapshot, wanted, key) if key else (None, None)
        return self._page(
            "prompt.html.j2", snapshot, place,
            page=page, wanted=wanted, split=split, before=before, after=after,
            error=query.get("error"), warning=query.get("warning"),
        )  # fmt: skip

    def picture(self, query: Query) -> Response:
        """A prompt's picture, or a film's contact sheet."""
        place = self._place(self.opened.snapshot(), query)
        number, side = _number(query, "n") or 0, _number(query, "side") or SHOWN_PX
        kind = query.get("kind", "image")
        try:
            body, media_type = for_browser(encoded_file(place, query.get("id", ""), kind, number), kind, side)
        except BadInput as why:
            raise NotThere(str(why)) from why
        return Response(body, media_type=media_type, headers={"Cache-Control": "private, max-age=600"})

    def rollouts(self, query: Query) -> Response:
        """The rollouts of a stage."""
        snapshot = self.opened.snapshot()
        place = self._place(snapshot, query)
        page = rollout_page(snapshot, place, RolloutFilter.from_query(query))
        return self._page("rollouts.html.j2", snapshot, place, page=page, wanted=page.wanted)

    def flips(self, query: Query) -> Response:
        """Prompts whose verdict changed between two stages."""
        snapshot = self.opened.snapshot()
        place = self._place(snapshot, query)
        other = self._place(snapshot, {"run": query.get("with") or place.name})
        page = flip_page(snapshot, place, other, query, _number(query, "page") or 1)
        after = page.stages if other is place else stages_of(place)
        return self._page("flip_page.html.j2", snapshot, place, page=page, other=other, after_stages=after)

    def curves(self, query: Query) -> Response:
        """A run's stages and curves, each point a link to the rollouts behind it."""
        snapshot = self.opened.snapshot()
        place = self._place(snapshot, query)
        return self._page("curves.html.j2", snapshot, place, page=curve_page(place))

    def seen(self, query: Query) -> Response:
        """A prompt's pictures and films as the processor of a policy hands them on."""
        snapshot = self.opened.snapshot()
        place, prompt_id = self._place(snapshot, query), query.get("id", "")
        row = place.prompts.rows([prompt_id]).get(prompt_id)
        if row is None:
            raise NotThere("no such prompt")
        page = seen_page(place, row, _number(query, "page") or 1)
        return self._page("seen.html.j2", snapshot, place, page=page, prompt_id=prompt_id)

    def tokens(self, query: Query) -> Response:
        """One rollout, token by token."""
        snapshot = self.opened.snapshot()
        place = self._place(snapshot, query)
        prompt_id = query.get("id", "")
        files = snapshot.shards_of(place.name, prompt_id)
        page = token_page(snapshot, place, prompt_id, query.get("rollout", ""), files)
        if page is None:
            raise NotThere("no such rollout")
        return self._page("tokens.html.j2", snapshot, place, page=page, prompt_id=prompt_id)

    def export(self, query: Query) -> Response:
        """What is filtered: ids, or a prompt set."""
        wanted, snapshot = PromptFilter.from_query(query), self.opened.snapshot()
        if query.get("as") != "parquet":
            ids = dict.fromkeys(prompt_id for _, _, prompt_id in exported_ids(snapshot, wanted))
            return PlainTextResponse(
                "".join(f"{prompt_id}\n" for prompt_id in ids), headers=_file("prompt_ids.txt")
            )
        folder = tempfile.TemporaryDirectory()
        path = Path(folder.name) / "prompts.parquet"
        write_prompt_set(path, snapshot, wanted)
        return FileResponse(path, headers=_file("prompts.parquet"), background=BackgroundTask(folder.cleanup))

    async def _decide(self, request: Request) -> Response:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MAX_FORM_BYTES:
                return PlainTextResponse("too long", 413)
        form = dict(parse_qsl(body.decode("utf-8", errors="replace"), keep_blank_values=True))
        if not self.keys.may_write(form.pop("csrf", "")):
            return PlainTextResponse("this form is none of this viewer's: load its page anew", 403)
        return await run_in_threadpool(
            self.decided, form, request.headers.get("accept") == "application/json"
        )

    def decided(self, form: Query, as_json: bool) -> Response:
        """Write a decision and go back to where it was made."""
        back, snapshot = "/prompt?" + form.get("back", ""), self.opened.snapshot()
        try:
            event, warning = decide(snapshot, form, self.author)
        except BadInput as why:
            words, is_gone = _plain(why), isinstance(why, NotInForce)
            if as_json:
                return JSONResponse({"error": words}, 409 if is_gone else 400)
            said = {"error": words} | ({"undone": form.get("value", "")} if is_gone else {})
            return RedirectResponse(f"{back}&{urlencode(said)}", 303)
        if as_json:
            now = left_by_people(snapshot, form)
            return JSONResponse(
                {"event_id": event.event_id, "action": event.action, "warning": warning} | now
            )
        said = {"warning": warning} if warning else {}
        # What the key u takes back, and what it need not any more.
        said |= {"undone": event.value} if event.action == "undo" else {"done": event.event_id}
        return RedirectResponse(f"{back}&{urlencode(said)}", 303)

    def _place(self, snapshot: Snapshot, query: Query) -> Place:
        name = query.get("run") or self.opened.newest
        if name not in snapshot.places:
            raise NotThere("no such run: it was not given to this viewer")
        return snapshot.places[name]

    def _page(self, name: str, snapshot: Snapshot, place: Place, **content: Any) -> Response:
        page = template(name, PAGES).render(
            place=place, places=snapshot.places, csrf=self.keys.write, author=self.author, **content
        )
        return _html(page)


async def _answered(page: Callable[[Query], Response], request: Request) -> Response:
    """In a thread of its own; what is wrong is said on a page."""
    try:
        return await run_in_threadpool(page, dict(request.query_params))
    except NotThere as why:
        return _refusal(404, why)
    except ValueError as why:
        return _refusal(400, why)
    except (HoneError, OSError) as why:
        return _refusal(500, why)


def _refusal(status: int, why: Exception | str) -> Response:
    page = template("refusal.html.j2", PAGES).render(status=status, words=_plain(why))
    return _html(page, status)


def _html(page: str, status: int = 200) -> Response:
    """Without what steers a terminal or turns the direction of what follows, wherever in the page it came from."""
    return HTMLResponse(without_control(page).encode("utf-8", errors="replace"), status)


async def _no_page(_: Request, why: Exception) -> Response:
    return _refusal(getattr(why, "status_code", 404), "no such page")


def _plain(why: Exception | str) -> str:
    """The first line."""
    return (str(why).splitlines() or [""])[0][:500]


def _number(query: Query, name: str) -> int | None:
    """Raises: ValueError where it is none."""
    text = query.get(name, "").strip()
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 12:
        raise ValueError(f"{name}: a number")
    return int(text)


def _file(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def login_name() -> str:
    """Who decides unless a form says otherwise."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "someone"
