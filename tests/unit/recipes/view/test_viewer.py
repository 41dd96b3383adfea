"""`hone view` over a real socket: what it opens at, who may ask, who may write, and what it refuses."""

from __future__ import annotations

import http.client
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from recipes.view.server import ViewServer
from verifiers.errors import BadInput

HOSTILE = '"><script>alert(1)</script>\x1b[2J\u202e../../etc/passwd'


def test_it_opens_at_the_best_policy(whole: Any) -> None:
    status, _, headers = whole.ask("/")
    assert status == 303
    page = whole.ask(headers["location"])[1]
    assert "Best policy so far: <b>round 1 RL</b> (version 60)" in page
    assert (
        page.count("<tr tabindex") == 24 and "not tried" not in page.partition("<tbody")[2]
    )  # all it has tried


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/prompt?id=nobody", 404),
        ("/prompt", 404),
        ("/prompt?at=999999999", 404),
        ("/favicon.ico", 404),
        ("/../../etc/passwd", 404),
        ("/%2e%2e/%2e%2e/etc/passwd", 404),
        ("//etc/passwd", 404),
        ("/static/../viewer.py", 404),
        ("/static/%2e%2e/viewer.py", 404),
        ("/recipe.yaml", 404),
        ("/prompt?id=../../recipe.yaml", 404),
        ("/prompt?id=%27%20OR%201=1%20--", 404),
        ("/prompts?page=0", 200),
        ("/prompts?page=999999999", 200),
        ("/prompts?page=-1", 400),
        ("/prompts?page=1e3", 400),
        ("/prompts?page=99999999999999999999", 400),
        ("/prompts?sort=id;DROP", 400),
        ("/prompts?policy=1%20OR%201=1", 400),
        ("/prompts?low=nan", 400),
        ("/prompts?run=%27%20OR%201=1%20--", 404),
        ("/prompts?tag=%27%20OR%201=1%20--", 200),
        ("/prompts?type=%00&q=%ff", 200),
        ("/rollouts?min_reward=nan", 400),
        ("/rollouts?min_reward=1;DROP", 400),
        ("/rollouts?stage=../../data", 200),
        ("/rollouts?stage=%00&type=%ff", 200),
        ("/flips?before=../../data&after=x", 400),
        ("/flips?with=nowhere", 404),
        ("/picture?id=nobody", 404),
        ("/picture?n=-1", 400),
        ("/seen?id=nobody", 404),
        ("/tokens?id=x&rollout=y", 404),
        ("/decide", 405),
    ],
)
def test_no_address_breaks_it(whole: Any, path: str, status: int) -> None:
    got, page, _ = whole.ask(path)
    assert got == status, page[-500:]
    assert "root:" not in page
    assert "learning_rate" not in page
    assert "Traceback" not in page
    assert "OR" not in path or got != 200 or "<tr tabindex" not in page


def test_it_answers_only_under_its_own_name(whole: Any) -> None:
    assert whole.ask("/", Host="attacker.example")[0] == 421
    assert whole.ask("/", Host=f"localhost:{whole.port}")[0] == 303
    headers = whole.ask("/prompts")[2]
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self';" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert "server" not in headers
    assert whole.ask("/static/viewer.js")[0] == 200


def test_no_page_has_a_script_of_its_own(whole: Any) -> None:
    for path in ("/prompts", "/flips", "/curves", "/rollouts"):
        page = whole.show(path)
        assert re.findall(r"<script[^>]*>", page) == ['<script src="/static/viewer.js" defer>']
        assert not re.search(r"\son\w+=", re.sub(r">[^<]*<", "><", page))


def test_it_listens_on_this_machine_alone(whole_run: Path) -> None:
    with ViewServer([whole_run], port=0) as server:
        assert server.host == "127.0.0.1" and server.keys.access == ""
        with pytest.raises(
            BadInput, match=r"port \d+ of 127\.0\.0\.1 cannot be used .* choose another with --port"
        ):
            ViewServer([whole_run], port=server.port)
    with pytest.raises(BadInput, match="no such file"):
        ViewServer([whole_run / "nowhere"], port=0)
    with pytest.raises(BadInput, match="no file that ends in"):
        ViewServer([whole_run / "stages"], port=0)


def test_another_host_asks_for_a_token(whole_run: Path, browse: Callable[..., Any]) -> None:
    with browse(whole_run, host="0.0.0.0") as browser:
        token = browser.server.keys.access
        assert browser.server.url.endswith(f"/?token={token}")
        assert browser.ask("/prompts")[0] == 403
        assert browser.ask("/prompts?token=wrong")[0] == 403
        assert browser.ask("/static/viewer.js")[0] == 403
        status, _, headers = browser.ask(f"/prompts?sort=id&token={token}")
        assert status == 303 and headers["location"] == "/prompts?sort=id"
        cookie = headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert browser.ask("/prompts", Cookie=cookie.split(";")[0])[0] == 200
        assert browser.ask("/prompts", Cookie="hone_view=wrong")[0] == 403
        # A browser sends a host's cookies to all its ports, so another viewer's must have another name.
        assert cookie.startswith(f"hone_view_{browser.port}=")
        both = f"hone_view_{browser.port + 1}=another; {cookie.split(';')[0]}; hone_view=another"
        assert browser.ask("/prompts", Cookie=both)[0] == 200
        assert browser.ask(f"//evil.example/?token={token}")[2]["location"] == "/evil.example/"


def test_nothing_is_written_without_the_key_of_a_page(run_maker: Any, browse: Callable[..., Any]) -> None:
    prompt_id = run_maker.heldout[0][0].prompt_id
    with browse(run_maker.run) as browser:
        form = {"run": "digits", "id": prompt_id, "action": "accept"}
        assert browser.ask("/decide", "POST", urlencode(form))[0] == 403
        assert browser.ask("/decide", "POST", urlencode(form | {"csrf": "wrong"}))[0] == 403
        good = urlencode(form | {"csrf": browser.server.keys.write})
        assert browser.ask("/decide", "POST", good, Origin="http://attacker.example")[0] == 403
        assert browser.ask("/decide", "POST", good, Sec_Fetch_Site="cross-site")[0] == 403
        assert browser.ask("/decide", "POST", good, Host="attacker.example")[0] == 421
        assert browser.ask("/decide", "POST", "x" * 300_000)[0] == 413
        for method in ("PUT", "DELETE", "OPTIONS"):
            assert browser.ask("/prompts", method)[0] == 404 or browser.ask("/prompts", method)[0] == 405
        assert not (run_maker.run / "curation.jsonl").exists()
        assert browser.ask("/decide", "POST", good)[0] == 303
        assert (run_maker.run / "curation.jsonl").exists()


def test_hostile_content_stays_text(run_maker: Any, write_rollouts: Any, browse: Callable[..., Any]) -> None:
    prompt, _ = run_maker.heldout[0]
    row = run_maker.row(
        rollout_id=HOSTILE, stage=HOSTILE, prompt_id=prompt.prompt_id, tags=[HOSTILE], policy_version=3
    )
    row |= {
        "answer": HOSTILE,
        "thought": HOSTILE,
        "verdict_reason": HOSTILE,
        "verdict_status": HOSTILE,
        "reward": 0.0,
    }
    write_rollouts(run_maker.run, "00-evaluate", [row])
    with browse(run_maker.run) as browser:
        assert browser.decide("tag", prompt.prompt_id, value=HOSTILE.replace("\x1b", ""), reason="<b>")[
            0
        ] in (303, 400)
        pages = [
            browser.show("/rollouts", stage="00-evaluate"),
            browser.show("/prompts", q=HOSTILE),
            browser.show("/prompts", run="digits", sort="-n"),
            browser.show("/prompt", of="digits", id=prompt.prompt_id, error=HOSTILE),
            browser.show("/tokens", run="digits", id=prompt.prompt_id, rollout=HOSTILE),
        ]
        for page in pages:
            assert "<script>" not in page and "<b>&lt;b" not in page
        for page in (pages[0], pages[3], pages[4]):
            assert "&lt;script&gt;" in page
            assert "\x1b" not in re.sub(r'(value|href|title|data-\w+)="[^"]*"', "", page)


def test_a_run_in_progress_is_looked_at_anew(
    run_maker: Any,
    browse: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    num_found: Callable[[str], int],
) -> None:
    monkeypatch.setattr("recipes.view.opened.LOOK_AGAIN_S", 0.0)
    with browse(run_maker.run) as browser:
        assert "No rollout has been logged yet." in browser.show("/rollouts")
        assert num_found(browser.show("/prompts")) == 8 + 12
        assert "Two evaluated policies are needed" in browser.show("/flips")
        run_maker.evaluate(0, "sft", 0.5)
        assert num_found(browser.show("/rollouts")) == 8 * 4
        assert num_found(browser.show("/prompts", min_n=1)) == 8


def test_the_command_prints_its_address_and_ends_on_interrupt(whole_run: Path) -> None:
    # A job in the background of a shell inherits an ignored interrupt; a person at a terminal has none.
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"from recipes.commands.view import view; view([{str(whole_run)!r}], port=0, open_page=False)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        address = re.match(r"http://127\.0\.0\.1:(\d+)/", process.stdout.readline())
        assert address is not None
        connection = http.client.HTTPConnection("127.0.0.1", int(address[1]), timeout=60)
        connection.request("GET", "/curves")
        assert connection.getresponse().status == 200
        connection.close()
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
