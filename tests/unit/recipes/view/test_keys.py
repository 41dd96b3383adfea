"""The keys of a page in a browser's stead: `viewer.js` in Node with a few elements made up, where there is a Node."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import recipes.view.viewer

SCRIPT = Path(recipes.view.viewer.__file__).parent / "static" / "viewer.js"
# Keys go in, requests and what the tab still knows come out. Each request is answered by the next of `replies`.
BROWSER = """
const fs = require("fs"), vm = require("vm");
const { keys, kept, replies, address } = JSON.parse(process.argv[2]);
const store = { undoable: JSON.stringify(kept) }, listeners = {}, sent = [], submitted = [];
const storage = { getItem: (name) => store[name] ?? null, setItem: (name, text) => { store[name] = text; } };
const element = (more) => ({ dataset: {}, addEventListener() {}, append() {}, remove() {}, setAttribute() {},
  replaceChildren() {}, querySelector: () => null, hasAttribute: () => false, focus() {}, select() {},
  matches: () => false, closest: () => null, ...more });
const cell = element({ className: "decision accepted", textContent: "accepted" });
const reference = element({ replaceChildren: (...parts) => {
  reference.shown = parts.map((one) => one.textContent ?? one).join("");
} });
const row = element({ dataset: { run: "r", id: "a" }, isConnected: true,
  querySelector: (what) => ({ "td.decision": cell, "td.reference": reference })[what] ?? null });
const box = element({ form: { requestSubmit: () => submitted.push("sent") }, matches: () => true,
  closest: (what) => (what.includes("textarea") ? box : null) });
const page = address ? element({ dataset: { run: "r", id: "a" } }) : null;
const document = { addEventListener: (name, does) => (listeners[name] ??= []).push(does), activeElement: null,
  querySelector: (what) => ({ "#author": element({ value: "me" }), "[data-prompt]": page })[what]
    ?? (what.startsWith("meta") ? { content: "key" } : null),
  querySelectorAll: (what) => (what === "[data-id]" ? [row] : []), createElement: () => element({}),
  body: element({}) };
const fetch = async (_, asked) => {
  const [status, told] = replies[sent.push(Object.fromEntries(asked.body)) - 1];
  if (!status) throw new Error("no network");
  return { ok: status < 400, status, json: async () => told };
};
vm.runInNewContext(fs.readFileSync(process.argv[1], "utf8"), { document, fetch, sessionStorage: storage,
  localStorage: { getItem: () => null, setItem() {} }, location: { href: address || "http://x/prompts" },
  history: { replaceState() {} }, setTimeout: () => 0, URL, URLSearchParams, FormData: Map, console });
(async () => {
  for (const [key, more] of keys) {
    const target = more.inText ? box : element({});
    for (const does of listeners.keydown) does({ key, target, preventDefault() {}, ...more });
  }
  for (let i = 0; i < 50; i++) await new Promise(setImmediate);
  console.log(JSON.stringify({ sent: sent.map((one) => one.value), kept: JSON.parse(store.undoable), submitted,
    cell: [cell.className, cell.textContent], reference: reference.shown }));
})();
"""
FIRST, SECOND = ["r", "a", "first"], ["r", "a", "second"]


def press(*keys: Any, kept: Any = (), replies: Any = (), address: str = "") -> dict[str, Any]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node here")
    pressed = [[key, {}] if isinstance(key, str) else key for key in keys]
    given = json.dumps({"keys": pressed, "kept": list(kept), "replies": list(replies), "address": address})
    done = subprocess.run(
        [node, "-e", BROWSER, str(SCRIPT), given], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def left(decision: str, reference: str, is_corrected: bool = False) -> dict[str, Any]:
    return {
        "event_id": "e", "action": "undo", "warning": "",
        "decision": decision, "reference": reference, "is_corrected": is_corrected,
    }  # fmt: skip


def test_an_undo_shows_what_is_left() -> None:
    found = press("u", kept=[FIRST, SECOND], replies=[[200, left("rejected", "7", True)]])
    assert found["sent"] == ["second"] and found["kept"] == [FIRST]
    assert found["cell"] == ["decision rejected", "rejected"] and found["reference"] == "7 corrected"


@pytest.mark.parametrize(
    ("reply", "kept"),
    [
        ([0, {}], [FIRST, SECOND]),
        ([500, {}], [FIRST, SECOND]),
        ([400, {"error": "a damaged line"}], [FIRST]),
        ([404, {"error": "no such run"}], [FIRST]),
        ([409, {"error": "undone already"}], [FIRST]),
    ],
)
def test_an_undo_that_failed_can_be_had_once_more_and_one_refused_cannot(reply: Any, kept: Any) -> None:
    found = press("u", kept=[FIRST, SECOND], replies=[reply])
    assert found["kept"] == kept and found["cell"] == ["decision accepted", "accepted"]


def test_two_quick_undos_take_back_two() -> None:
    found = press(
        "u", "u", kept=[FIRST, SECOND], replies=[[200, left("accepted", "1")], [200, left("", "1")]]
    )
    assert found["sent"] == ["second", "first"] and found["kept"] == []
    assert found["cell"] == ["decision ", ""]


def test_an_undo_by_its_button_is_forgotten_once_it_is_done() -> None:
    assert press(kept=[FIRST, SECOND], address="http://x/prompt?id=a&undone=first")["kept"] == [SECOND]
    assert press(kept=[FIRST], address="http://x/prompt?id=a&done=second")["kept"] == [FIRST, SECOND]


def test_enter_sends_a_reference_and_with_shift_begins_a_line() -> None:
    assert press(["Enter", {"inText": True}])["submitted"] == ["sent"]
    assert press(["Enter", {"inText": True, "shiftKey": True}])["submitted"] == []
    assert press(["Enter", {"inText": True, "isComposing": True}])["submitted"] == []
