"""Judges cases under an audit hook and prints what they did besides judging. Run by the conformance kit as a script.

Argument: the verifier. Standard input: a JSON list of `[options, reference, answer]`. Prints a JSON list of events.
"""

from __future__ import annotations

import json
import sys
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


def main() -> None:
    """Judge the cases of standard input twice; print the events of the second time, 50 at most."""
    rows = json.load(sys.stdin)
    recorder = Recorder()
    sys.addaudithook(recorder)
    # A first pass imports what is imported lazily (and may write byte code); the second one is watched.
    for watched in (False, True):
        recorder.armed = watched
        for options, reference, answer in rows:
            load_verifier(sys.argv[1], options).judge(reference, answer)
    recorder.armed = False
    print(json.dumps(recorder.events[:50]))


if __name__ == "__main__":
    main()
