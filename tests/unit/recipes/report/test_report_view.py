"""`hone view` over a real socket: what it shows, what it filters, and what it refuses."""

from __future__ import annotations

import http.client
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from recipes.view.rollout_browser import PAGE_SIZE, RolloutBrowser, RolloutFilter
from verifiers.errors import BadInput

NUM_ROLLOUTS = 5 * 24 * 4  # evaluations, prompts, samples


class Client:
    """A browser that knows one server."""

    def __init__(self, server: RolloutBrowser) -> None:
        self.port = server.server_port

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, headers=headers)
            reply = connection.getresponse()
            return reply.status, reply.read().decode(), dict(reply.getheaders())
        finally:
            connection.close()

    def show(self, **query: object) -> str:
        status, page, _ = self.ask("/?" + urlencode(query))
        assert status == 200, page
        return page


def serve(run: Path) -> Iterator[Client]:
    with RolloutBrowser(run, port=0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield Client(server)
        server.shutdown()
        thread.join(timeout=10)


@pytest.fixture(scope="module")
def client(whole_run: Path) -> Iterator[Client]:
    yield from serve(whole_run)


@pytest.fixture
def made_client(run_maker: Any) -> Iterator[Client]:
    yield from serve(run_maker.run)


def num_found(page: str) -> int:
    found = re.search(r"<b>([\d,]+)</b> rollout", page)
    assert found is not None
    return int(found[1].replace(",", ""))


def badges(page: str) -> set[str]:
    return {words.split(maxsplit=1)[1] for words in re.findall(r'<span class="badge">([^<]*)</span>', page)}


def test_the_first_page_shows_rollouts_with_pictures_and_verdicts(client: Client) -> None:
    page = client.show()
    assert num_found(page) == NUM_ROLLOUTS
    assert page.count("<article") == PAGE_SIZE
    assert page.count('src="data:image/png;base64,') == PAGE_SIZE
    assert badges(page)


def test_paging_shows_every_rollout_once(client: Client) -> None:
    seen: list[str] = []
    path = "/?stage=03-evaluate-r0"
    while path:
        status, page, _ = client.ask(path)
        assert status == 200
        seen += re.findall(r"attempt (\d+) · \d+ tokens", page)
        following = re.search(r'href="([^"]*)">next →', page)
        path = following[1].replace("&amp;", "&") if following else ""
    assert len(seen) == 24 * 4
    assert {seen.count(index) for index in "0123"} == {24}


def test_filters_narrow_and_add_up(client: Client) -> None:
    assert num_found(client.show(stage="10-evaluate-r1")) == 24 * 4
    types = [num_found(client.show(type=name)) for name in ("sum", "largest", "count", "where")]
    assert types == [NUM_ROLLOUTS // 4] * 4
    right = client.show(verdict="right")
    assert badges(right) == {"right"}
    assert (
        num_found(right) == num_found(client.show(min_reward=1)) == num_found(client.show(min_reward="0.5"))
    )
    assert num_found(right) + num_found(client.show(max_reward=0)) == NUM_ROLLOUTS
    attempts = {how: num_found(client.show(attempts=how)) for how in ("sometimes", "always", "never")}
    assert sum(attempts.values()) == NUM_ROLLOUTS and all(attempts.values())
    assert all(num % 4 == 0 for num in attempts.values())  # whole groups
    assert badges(client.show(attempts="always", stage="10-evaluate-r1")) <= {"right"}
    assert "right" not in badges(client.show(attempts="never", stage="10-evaluate-r1"))
    both = client.show(verdict="truncated", stage="03-evaluate-r0")
    assert badges(both) <= {"truncated"}
    assert num_found(client.show(type="no such type")) == 0


def test_one_prompt_over_all_stages(client: Client) -> None:
    link = re.search(r'href="(/prompt\?id=[^"]*)"', client.show())
    assert link is not None
    status, page, _ = client.ask(link[1])
    assert status == 200
    assert "One prompt, 20 attempts" in page
    stages = re.findall(r"<h2>(\S+)", page)
    assert stages == [
        "01-evaluate-r0",
        "03-evaluate-r0",
        "05-evaluate-r0",
        "08-evaluate-r1",
        "10-evaluate-r1",
    ]
    assert page.count('<div class="attempt ') == 20


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/prompt?id=nobody", 404),
        ("/prompt", 404),
        ("/favicon.ico", 404),
        ("/../../etc/passwd", 404),
        ("/%2e%2e/%2e%2e/etc/passwd", 404),
        ("//etc/passwd", 404),
        ("/recipe.yaml", 404),
        ("/prompt?id=../../recipe.yaml", 404),
        ("/prompt?id=%27%20OR%201=1%20--", 404),
        ("/?page=0", 200),
        ("/?page=999999999", 200),
        ("/?page=-1", 400),
        ("/?page=1e3", 400),
        ("/?page=99999999999999999999", 400),
        ("/?min_reward=nan", 400),
        ("/?min_reward=1;DROP", 400),
        ("/?stage=%27%20OR%201=1%20--", 200),
        ("/?stage=%00&type=%ff", 200),
    ],
)
def test_no_address_breaks_it(client: Client, path: str, status: int) -> None:
    got, page, _ = client.ask(path)
    assert got == status
    assert "root:" not in page
    assert "learning_rate" not in page
    assert "Traceback" not in page
    assert got != 200 or "OR" not in path or num_found(page) == 0


def test_it_only_reads(client: Client) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert client.ask("/", method)[0] == 501
    status, body, headers = client.ask("/", "HEAD")
    assert (status, body) == (200, "")
    assert int(headers["Content-Length"]) > 1000


def test_it_answers_only_under_its_own_name(client: Client) -> None:
    assert client.ask("/", Host="attacker.example")[0] == 421
    assert client.ask("/", Host=f"localhost:{client.port}")[0] == 200
    headers = client.ask("/")[2]
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Server"] == "hone "


def test_it_listens_on_this_machine_alone(whole_run: Path) -> None:
    with RolloutBrowser(whole_run, port=0) as server:
        assert server.server_address[0] == "127.0.0.1"
        with pytest.raises(BadInput, match=r"port \d+ cannot be used .* choose another with --port"):
            RolloutBrowser(whole_run, port=server.server_port)
    with pytest.raises(BadInput, match="no run directory"):
        RolloutBrowser(whole_run / "nowhere", port=0)


def test_hostile_output_stays_text(run_maker: Any, write_rollouts: Any, made_client: Client) -> None:
    hostile = '"><script>alert(1)</script>'
    prompt, _ = run_maker.heldout[0]
    row = run_maker.row(rollout_id=hostile, stage=hostile, prompt_id=prompt.prompt_id, tags=[hostile])
    row |= {"answer": hostile, "thought": hostile, "verdict_reason": hostile, "verdict_status": hostile}
    write_rollouts(run_maker.run, "00-evaluate", [row])
    page = made_client.show(stage=hostile, type=hostile)
    assert num_found(page) == 1
    assert "<script" not in page + made_client.ask("/prompt?" + urlencode({"id": prompt.prompt_id}))[1]


def test_a_run_in_progress_is_looked_at_anew(run_maker: Any, made_client: Client) -> None:
    assert "No rollout has been logged yet." in made_client.show()
    run_maker.evaluate(0, "sft", 0.5)
    assert num_found(made_client.show()) == 8 * 4


def test_a_filter_keeps_itself_in_its_links() -> None:
    wanted = RolloutFilter.from_query({"stage": ["02-rl"], "min_reward": ["0"], "type": ["a&b"]})
    assert wanted.query_string(page=3) == "stage=02-rl&type=a%26b&min_reward=0.0&page=3"


def test_the_command_prints_its_address_and_ends_on_interrupt(whole_run: Path) -> None:
    # A job in the background of a shell inherits an ignored interrupt; a person at a terminal has none.
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"from recipes.commands.view import view; view({str(whole_run)!r}, port=0, open_page=False)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        address = re.match(r"http://127\.0\.0\.1:(\d+)/", process.stdout.readline())
        assert address is not None
        connection = http.client.HTTPConnection("127.0.0.1", int(address[1]), timeout=20)
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
        connection.close()
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
