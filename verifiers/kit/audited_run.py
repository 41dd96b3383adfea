"""Judges cases under an audit hook and prints what they did besides judging. Run by the conformance kit as a script.

Argument: the verifier. Standard input: a JSON list of `[options, reference, answer]`, the example first. Prints JSON:
`events`, and the packages that the first case `imported` within `first_case_s` of processor time.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from verifiers.registry import load_verifier

_ALWAYS = {
    "socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "subprocess.Popen", "os.system", "os.exec",
    "os.posix_spawn", "os.fork", "os.forkpty", "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.truncate",
    "os.chmod", "os.kill",
    "os.putenv", "shutil.rmtree", "shutil.move", "tempfile.mkstemp", "tempfile.mkdtemp",
    "urllib.Request", "pty.spawn", "ctypes.dlopen",
}  # fmt: skip


class Recorder:
    """An audit hook that notes side effects while `armed`; reading a file is none."""

    def __init__(self) -> None:
        self.armed = False
        self.events: list[str] = []

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.armed:
            return
        if event == "open":
            mode = args[1] if len(args) > 1 else None
            if isinstance(mode, str) and not isinstance(args[0], int) and set(mode) & set("wax+"):
                self.events.append(f"open for writing: {str(args[0])[:80]}")
        elif event in _ALWAYS:
            self.events.append(event)


def audit(name: str, rows: list[list[Any]]) -> dict[str, Any]:
    """What judging ``rows`` with this verifier did, in a process of its own. Raises `RuntimeError` if it failed."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)}
    done = subprocess.run(
        [sys.executable, __file__, name],
        input=json.dumps(rows), capture_output=True, text=True, env=env, timeout=120, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"the audited run failed: {done.stderr[-300:]}")
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen


def main() -> None:
    """Judge the cases of standard input twice; report the events of the second time, 50 at most."""
    rows = json.load(sys.stdin)
    options, reference, answer = rows[0]
    verifier = load_verifier(sys.argv[1], options)
    for module in verifier.imports:
        importlib.import_module(module)
    known, started = set(sys.modules), time.process_time()
    verifier.judge(reference, answer)
    first_case_s, imported = time.process_time() - started, set(sys.modules) - known
    recorder = Recorder()
    sys.addaudithook(recorder)
    # A first pass imports what is imported lazily (and may write byte code); the second one is watched.
    for watched in (False, True):
        recorder.armed = watched
        for options, reference, answer in rows:
            load_verifier(sys.argv[1], options).judge(reference, answer)
    recorder.armed = False
    packages = sorted({name.partition(".")[0] for name in imported})
    print(json.dumps({"events": recorder.events[:50], "imported": packages, "first_case_s": first_case_s}))


if __name__ == "__main__":
    main()
