"""The viewer in a real browser, by keyboard and by mouse: what curl does not see is what its pages allow themselves.

Skipped where there is no Chromium."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from recipes.view.server import ViewServer
from sampler.data.prompt_dataset import save_prompts
from sampler.prompt import Prompt
from sampler.store.decisions.event_log import EventLog

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))),
    None,
)
HOSTILE = "<script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\">"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")


class Tab:
    """One page of the browser, by Chromium's DevTools protocol."""

    def __init__(self, port: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._num_sent = 0
        self.errors: list[str] = []
        self._socket = self._loop.run_until_complete(self._connect(port))
        for domain in ("Log", "Runtime", "Page"):
            self.send(f"{domain}.enable")
        self.send("Emulation.setFocusEmulationEnabled", enabled=True)

    async def _connect(self, port: int) -> Any:
        import websockets

        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=10) as reply:
            address = next(one for one in json.load(reply) if one["type"] == "page")["webSocketDebuggerUrl"]
        return await websockets.connect(address, max_size=None)

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """What the browser answers; what it complains of meanwhile is kept."""
        return self._loop.run_until_complete(asyncio.wait_for(self._send(method, parameters), 60))

    async def _send(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        self._num_sent += 1
        await self._socket.send(json.dumps({"id": self._num_sent, "method": method, "params": parameters}))
        while True:
            told = json.loads(await self._socket.recv())
            if told.get("id") == self._num_sent:
                result: dict[str, Any] = told.get("result", told)
                return result
            if told.get("method") == "Log.entryAdded" and told["params"]["entry"]["level"] == "error":
                self.errors.append(told["params"]["entry"]["text"])
            if told.get("method") == "Runtime.exceptionThrown":
                self.errors.append(json.dumps(told["params"]))

    def value(self, script: str) -> Any:
        return self.send("Runtime.evaluate", expression=script).get("result", {}).get("value")

    def wait(self, script: str) -> None:
        """Until it is true of a page that has been loaded."""
        for _ in range(150):
            if self.value(f"document.readyState === 'complete' && ({script})"):
                return
            time.sleep(0.1)
        pytest.fail(f"never true: {script}; at {self.value('location.href')}")

    def open(self, address: str) -> None:
        self.send("Page.navigate", url=address)
        self.wait("true")

    def press(self, *keys: str) -> None:
        for key in keys:
            text = {"Enter": "\r", "Escape": ""}.get(key, key)
            self.send("Input.dispatchKeyEvent", type="keyDown", key=key, text=text)
            self.send("Input.dispatchKeyEvent", type="keyUp", key=key)

    def close(self) -> None:
        self._loop.run_until_complete(self._socket.close())
        self._loop.close()


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    profile = tmp_path_factory.mktemp("chromium")
    assert CHROMIUM is not None
    process = subprocess.Popen(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", f"--user-data-dir={profile}", "--remote-debugging-port=0",
         "about:blank"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        told = profile / "DevToolsActivePort"
        for _ in range(300):
            if told.exists() and told.read_text():
                break
            time.sleep(0.1)
        opened = Tab(int(told.read_text().split()[0]))
        yield opened
        opened.close()
    finally:
        process.terminate()
        process.wait(timeout=30)


def picture(shade: int) -> bytes:
    encoded = io.BytesIO()
    Image.new("RGB", (320, 240), (40 * shade, 90, 90)).save(encoded, "PNG")
    return encoded.getvalue()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Six prompts with a box each, tried by two policies; one says something hostile."""
    path = tmp_path / "run"
    data = path / "stages" / "00-prepare" / "data"
    data.mkdir(parents=True)
    prompts = []
    for i in range(6):
        parts = [{"type": "image"}, {"type": "text", "text": f"Where is {i}? {HOSTILE if i == 0 else ''}"}]
        message = {"role": "user", "content": parts}
        prompts.append(
            Prompt.build(messages=[message], images=[picture(i)], verifier="bbox_iou", tags=("where",),
                         reference="<bbox>0 0 499 499</bbox>", prompt_id=f"p{i}")
        )  # fmt: skip
    save_prompts(data / "heldout.parquet", prompts)
    paths = {"heldout": "stages/00-prepare/data/heldout.parquet"}
    policy = {"version": 0, "hub": "base", "stage": "00-prepare"}
    manifest = {"kind": "prepare", "result_version": 1, "result": {"paths": paths, "policy": policy}}
    (data.parent / "manifest.json").write_text(json.dumps(manifest))
    for version, stage in ((1, "01-evaluate-r0"), (2, "02-evaluate-r0")):
        rows = [
            {
                "rollout_id": f"{stage}/{i}", "stage": stage, "step": 0, "policy_version": version,
                "prompt_id": f"p{i}",
                "kind": "verifiable", "tags": ["where"], "verifier": "bbox_iou", "index": 0, "answer_status": "ok",
                "response": "", "thought": HOSTILE, "answer": f"<bbox>0 0 {200 + 100 * version} 499</bbox>",
                "reward": float(version == 2), "verdict_status": "scored", "verdict_reason": HOSTILE,
                "verdict_score": 0.5, "finish_reason": "stop", "num_response_tokens": 3,
            }
            for i in range(6)
        ]  # fmt: skip
        (path / "rollouts" / stage).mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows), path / "rollouts" / stage / "step-00000.parquet")
        (path / "stages" / stage).mkdir()
        result = {
            "pass_at_1": float(version == 2),
            "num_prompts": 6,
            "after": "sft",
            "policy_version": version,
        }
        (path / "stages" / stage / "manifest.json").write_text(
            json.dumps({"kind": "evaluate", "result": result})
        )
    return path


@pytest.fixture
def film(run: Path, video_file: Callable[..., bytes]) -> str:
    """A prompt with a film of three seconds, four frames a second: a square that goes to the right. Its run shows two
    pictures a second and has left the processor of a tiny policy."""
    from rl.families.family import load_family

    frames = np.full((12, 64, 96, 3), 235, np.uint8)
    for at in range(12):
        frames[at, 24:40, 6 * at : 6 * at + 16] = (200, 40, 40)
    parts = [{"type": "video"}, {"type": "text", "text": "Where does it go?"}]
    asked = Prompt.build(
        messages=[{"role": "user", "content": parts}], videos=[video_file(frames)], verifier="string",
        reference="right", tags=("direction",), prompt_id="film",
    )  # fmt: skip
    save_prompts(run / "stages" / "00-prepare" / "data" / "train.parquet", [asked])
    load_family("qwen3_vl_moe").build_tiny(run / "policy", seed=1, corpus=["right", "left"], sizes={})
    (run / "recipe.yaml").write_text("data:\n  video: {fps: 2.0, tiers: [4, 2]}\n")
    return asked.prompt_id


@pytest.fixture
def server(run: Path) -> Iterator[ViewServer]:
    with ViewServer([run], 0, author="a curator") as server:
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        # What it imports makes loggers, which pytest counts as each test begins.
        urllib.request.urlopen(server.url, timeout=60).read()
        yield server
        server.stop()
        thread.join(timeout=10)


def test_by_keyboard_alone(tab: Tab, server: ViewServer, run: Path) -> None:
    row = "[...document.querySelectorAll('[data-row]')].indexOf(document.activeElement)"
    tab.open(server.url)
    assert tab.value("location.search") == "?run=run&policy=2&split=heldout"
    tab.press("j", "j", "k")
    assert tab.value(row) == 0
    tab.press("a")
    tab.wait(f"{row} === 1")  # the next one, once it is decided
    tab.press("r")
    tab.wait(f"{row} === 2")
    tab.press("u")
    tab.wait("document.querySelector('.toast')?.textContent === 'undone'")
    assert [event.action for event in EventLog.beside(run).events()] == ["accept", "reject", "undo"]
    tab.press("/")
    assert tab.value("document.activeElement.id") == "search"
    tab.press("Escape", "j", "Enter")
    tab.wait("location.pathname === '/prompt'")
    first = tab.value("document.querySelector('[data-prompt]').dataset.id")
    tab.press("j")
    tab.wait(f"document.querySelector('[data-prompt]').dataset.id !== '{first}'")
    tab.value("author.value = 'a second curator'; author.dispatchEvent(new Event('change'))")
    tab.press("t")
    assert tab.value("document.activeElement.closest('form').dataset.action") == "tag"
    tab.press(*"odd", "Enter")
    tab.wait("[...document.querySelectorAll('.tag')].some((tag) => tag.textContent === 'odd')")  # by the form
    assert EventLog.beside(run).events()[-1].author == "a second curator"
    tab.press("c")
    assert tab.value("document.activeElement.value") == "<bbox>0 0 499 499</bbox>"
    tab.press("Escape", "b")
    tab.wait("location.pathname === '/prompts'")
    assert tab.errors == []


def test_a_shortened_list_is_gone_through_and_the_last_decision_undone(
    tab: Tab, server: ViewServer, run: Path
) -> None:
    tab.errors.clear()
    tab.open(f"{server.url}prompts?decision=open&sort=id")
    tab.press("j", "Enter")
    for i in range(6):
        tab.wait(f"document.querySelector('[data-prompt]')?.dataset.id === 'p{i}'")
        tab.press("a")
        tab.wait("document.querySelector('.decisions > .accepted') !== null")
        tab.press("j")
    assert [event.prompt_id for event in EventLog.beside(run).events()] == [f"p{i}" for i in range(6)]
    tab.press("u")
    tab.wait("!document.querySelector('.decisions > .accepted')")
    tab.press("u")  # of the prompt before, which is not shown
    tab.wait("document.querySelector('.toast')?.textContent === 'undone: p4'")
    tab.press("t", *"odd", "Enter")  # by the form
    tab.wait("[...document.querySelectorAll('.tag')].some((tag) => tag.textContent === 'odd')")
    tab.press("k")
    tab.wait("document.querySelector('[data-prompt]').dataset.id === 'p4'")
    tab.press("u")
    tab.wait("document.querySelector('.toast')?.textContent === 'undone: p5'")
    curated = EventLog.beside(run).curated()
    assert [curated[f"p{i}"].accepted for i in range(6)] == [True] * 4 + [None] * 2
    assert curated["p5"].tags_added == () and tab.errors == []


def test_places_are_where_they_belong(tab: Tab, server: ViewServer) -> None:
    tab.open(f"{server.url}prompt?of=run&id=p1")
    tab.wait("document.querySelector('.one img').complete")
    share = (
        "(() => { const picture = document.querySelector('.one img').getBoundingClientRect(), "
        "box = document.querySelector('g.reference rect').getBoundingClientRect(); "
        "return [(box.width / picture.width).toFixed(1), (box.left - picture.left).toFixed(0)].join() })()"
    )
    assert tab.value(share) in ("0.5,0", "0.5,-1")
    assert tab.value("document.querySelector('g.right title').textContent") == "IoU 0.80"
    tab.send("Runtime.evaluate", expression="document.querySelector('.answer').focus()")
    assert tab.value("document.querySelectorAll('g.place.lit').length") == 1


def test_a_film_as_the_model_sees_it(tab: Tab, film: str, server: ViewServer) -> None:
    """Six pictures of two frames, each with its time; the grid's lines lie on the picture, and nothing is missing."""
    tab.errors.clear()
    tab.open(f"{server.url}prompt?of=run&id={film}")
    tab.value(
        "[...document.querySelectorAll('a')].find((one) => one.textContent === 'as the model sees it').click()"
    )
    tab.wait("location.pathname === '/seen' && document.querySelectorAll('.seen-film .panel').length === 6")
    tab.wait("[...document.images].every((one) => one.complete && one.naturalWidth > 0)")
    written = "[...document.querySelectorAll('.seen-film code')].map((one) => one.textContent).join()"
    times = [(2 * at + 0.5) / 4 for at in range(6)]
    assert tab.value(written) == ",".join(f"<{time_s:.1f} seconds>" for time_s in times)
    filmed = (
        "[...document.querySelectorAll('figcaption')].map((one) => one.textContent).slice(0, 3).join('; ')"
    )
    assert tab.value(filmed) == "frame 0, 0.00 s; frame 1, 0.25 s; frame 2, 0.50 s"
    share = (
        "(() => { const [picture, line] = ['.seen-film .picture img', '.seen-film .grid line'].map((one) => "
        "document.querySelector(one).getBoundingClientRect()); "
        "return ((line.left - picture.left) / picture.width).toFixed(2) })()"
    )
    columns = int(tab.value("document.querySelector('.seen-film .sub').textContent.match(/: (\\d+) ×/)[1]"))
    assert float(tab.value(share)) == pytest.approx(1 / columns, abs=0.01)
    wide = tab.value("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide == 0 and tab.errors == []


def test_hostile_content_runs_nothing(tab: Tab, server: ViewServer) -> None:
    tab.errors.clear()
    for path in (
        "prompts",
        "prompt?of=run&id=p0&version=",
        "rollouts",
        "flips",
        "curves",
        "tokens?id=p0&rollout=02-evaluate-r0/0",
    ):
        tab.open(server.url + path)
        assert tab.value("document.title") != "broken", path
        assert tab.value("document.scripts.length") == 1, path
        assert tab.value("document.querySelectorAll('img[src=x]').length") == 0, path
    assert tab.errors == []
