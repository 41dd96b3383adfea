"""`hone view`: a run's rollouts in a web browser on this machine. Reads only, and answers nobody but this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, urlencode, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from recipes.report.attempt import MAX_SHOWN_CHARS, Attempt
from recipes.report.comparison import Attempts
from recipes.report.page import template
from recipes.report.rollout_table import RolloutTable, attempt_columns
from rl.run.run_record import RunRecord
from verifiers.errors import BadInput

FOLDER = Path(__file__).parent
LOOPBACK = "127.0.0.1"
PAGE_SIZE = 20
MAX_PROMPT_PAGE_CHARS = 8000
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


# The attempts that one step made at a prompt: how many, and how many of them were right.
GROUPS = """
    SELECT stage, step, prompt_id, count(*) AS num, CASE count(*) FILTER (word IN ('right', 'won'))
        WHEN 0 THEN 'never' WHEN count(*) THEN 'always' ELSE 'sometimes' END AS attempts
    FROM rollouts GROUP BY stage, step, prompt_id
"""


class RolloutFilter(BaseModel):
    """Which rollouts a reader asked to see: untrusted text in an address. Empty means all; `page` counts from 1."""

    model_config = ConfigDict(frozen=True)

    stage: str = ""
    type: str = ""
    verdict: str = ""
    attempts: Literal["", "sometimes", "always", "never"] = ""
    min_reward: FiniteFloat | None = None
    max_reward: FiniteFloat | None = None
    page: Annotated[int, AfterValidator(lambda page: max(page, 1))] = Field(1, ge=0, lt=10**9)

    @classmethod
    def from_query(cls, query: Mapping[str, Sequence[str]]) -> RolloutFilter:
        """From `urllib.parse.parse_qs`. Raises `ValueError` with the name of what is wrong."""
        given = {name: query[name][0].strip() for name in cls.model_fields if query.get(name)}
        try:
            return cls.model_validate({name: text for name, text in given.items() if text})
        except ValidationError as why:
            raise ValueError(f"{why.errors()[0]['loc'][0]}: {why.errors()[0]['msg']}") from None

    def where(self) -> tuple[str, list[Any]]:
        """A condition over the view `rollouts` and its parameters."""
        parts = (
            ("stage = ?", self.stage or None),
            (
                f"(stage, step, prompt_id) IN (SELECT (stage, step, prompt_id) FROM ({GROUPS}) WHERE attempts = ?)",
                self.attempts or None,
            ),
            ("question_type = ?", self.type or None),
            ("word = ?", self.verdict or None),
            ("reward >= ?", self.min_reward),
            ("reward <= ?", self.max_reward),
        )
        asked = [(condition, value) for condition, value in parts if value is not None]
        return " AND ".join(condition for condition, _ in asked) or "true", [value for _, value in asked]

    def query_string(self, page: int) -> str:
        """The same filter at another page, for a link."""
        return urlencode(self.model_dump(exclude_defaults=True) | {"page": page})


@dataclass(frozen=True)
class RolloutPages:
    """The pages of one run; each call looks at the files anew, so a run in progress shows what it has by then."""

    run: Path
    name: str
    pass_score: float

    def rollouts(self, wanted: RolloutFilter) -> str:
        """The rollouts that pass a filter, a page at a time."""
        condition, parameters = wanted.where()
        with RolloutTable(self.run, self.pass_score) as log:
            count = log.query(f"SELECT count(*) AS num FROM rollouts WHERE {condition}", parameters)
            num, skipped = (count[0]["num"] if count else 0), (wanted.page - 1) * PAGE_SIZE
            sql = f"""
                SELECT {attempt_columns(MAX_SHOWN_CHARS)} FROM rollouts WHERE {condition}
                ORDER BY stage, step, prompt_id, "index" LIMIT {PAGE_SIZE} OFFSET {skipped}
            """
            rows = log.query(sql, parameters)
            prompts = log.prompts([row["prompt_id"] for row in rows])
            found = [(row["prompt_id"], prompts.get(row["prompt_id"]), Attempt.from_row(row)) for row in rows]
            columns = {"stage": "stage", "type": "question_type", "verdict": "word"}
            choices = {
                name: _choices(log, f"{column} AS name, 1 AS num FROM rollouts")
                for name, column in columns.items()
            }
            choices["attempts"] = _choices(log, f"attempts AS name, num FROM ({GROUPS})")
        num_pages = max(-(-num // PAGE_SIZE), 1)
        page: str = template("rollouts.html.j2", FOLDER).render(
            name=self.name, wanted=wanted, found=found, choices=choices, num=num, num_pages=num_pages
        )
        return page

    def prompt(self, prompt_id: str) -> str | None:
        """Every attempt at one prompt, stage by stage; None where the run does not know the prompt."""
        with RolloutTable(self.run, self.pass_score) as log:
            shown = log.prompts([prompt_id]).get(prompt_id)
            attempts = log.attempts(prompt_id, max_chars=MAX_PROMPT_PAGE_CHARS)
        if shown is None and not attempts:
            return None
        stages: dict[tuple[str, int], list[Attempt]] = {}
        for attempt in attempts:
            stages.setdefault((attempt.stage, attempt.policy_version), []).append(attempt)
        page: str = template("prompt.html.j2", FOLDER).render(
            name=self.name,
            prompt_id=prompt_id,
            prompt=shown,
            sides=[(version, Attempts(stage, tuple(made))) for (stage, version), made in stages.items()],
            num=len(attempts),
        )
        return page


def _choices(log: RolloutTable, columns: str) -> list[tuple[str, int]]:
    sql = f"SELECT name, sum(num) AS num FROM (SELECT {columns}) GROUP BY 1 ORDER BY 1"
    return [(str(row["name"]), int(row["num"])) for row in log.query(sql) if row["name"] is not None]


class RolloutBrowser(ThreadingHTTPServer):
    """The server. `with RolloutBrowser(run, port=0) as server: server.serve_forever()`"""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, run: str | Path, port: int) -> None:
        """Raises `BadInput` when there is no run there or the port is taken."""
        opened = RunRecord.open(run)
        self.pages = RolloutPages(opened.path, str(opened.summary["name"]), opened.pass_score)
        try:
            super().__init__((LOOPBACK, port), RolloutRequest)
        except OSError as why:
            raise BadInput(
                f"port {port} cannot be used ({why.strerror}): choose another with --port"
            ) from why

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.server_port}/"


class RolloutRequest(BaseHTTPRequestHandler):
    """One request: two addresses, `/` and `/prompt`, and no way from an address to a file."""

    server: RolloutBrowser
    server_version, sys_version = "hone", ""

    def do_GET(self) -> None:
        """A page as UTF-8 with its status; HEAD has the same headers and no body."""
        status, page = self._answer()
        body = page.encode("utf-8", errors="replace")
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815  the name is the standard library's

    def _answer(self) -> tuple[HTTPStatus, str]:
        import duckdb

        # A web page elsewhere can point a name of its own at this address: such a request names another host.
        own_names = {f"{host}:{self.server.server_port}" for host in (LOOPBACK, "localhost")}
        if self.headers.get("Host") not in own_names:
            return self._refuse(HTTPStatus.MISDIRECTED_REQUEST, f"this is {self.server.url}")
        address = urlsplit(self.path)
        query = parse_qs(address.query)
        try:
            if address.path == "/":
                return HTTPStatus.OK, self.server.pages.rollouts(RolloutFilter.from_query(query))
            if address.path == "/prompt":
                page = self.server.pages.prompt((query.get("id") or [""])[0])
                return (HTTPStatus.OK, page) if page else self._refuse(HTTPStatus.NOT_FOUND, "no such prompt")
        except ValueError as why:
            return self._refuse(HTTPStatus.BAD_REQUEST, str(why))
        except (duckdb.Error, OSError) as why:
            return self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, str(why).splitlines()[0])
        return self._refuse(HTTPStatus.NOT_FOUND, "no such page")

    def _refuse(self, status: HTTPStatus, words: str) -> tuple[HTTPStatus, str]:
        page: str = template("refusal.html.j2", FOLDER).render(status=status.value, words=words)
        return status, page

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name is the standard library's
        """Nothing: the terminal holds one line, the address."""
