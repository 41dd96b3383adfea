"""The far side of the service: a worker process that judges cases, and the zygote that forks such workers.

    service (parent) --- control socket ---> zygote --- fork ---> worker, worker, worker
           \\________________ one socket each, JSON lines ________________/

The zygote is a fresh, single-threaded interpreter: it inherits no torch, no Ray and no thread of the parent. It
imports the verifiers once, so that replacing a killed worker costs one fork. Workers die with the zygote
(PR_SET_PDEATHSIG) and the zygote with its parent (end of file on the control socket, or a new parent id).

Control messages, one JSON object a packet: `{"spawn": n}` is answered by `{"pid": p}` with the worker's socket
attached; `{"kill": p}` kills and reaps a worker (only here are pids known to be ours); `{"preload": name,
"options": {}}`.
Worker lines in: `[id, key, reference, text, answer status]`, the key being the verifier's name and options.
Worker lines out: `[id, monotonic time, *verdict]`, and `[key, monotonic time]` when a verifier has been loaded.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import math
import os
import resource
import select
import signal
import socket
import sys
import time
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from verifiers.answer import FinalAnswer
from verifiers.errors import HoneError
from verifiers.registry import load_verifier
from verifiers.verdict import Verdict
from verifiers.verifier import Verifier

MAX_PREPARED = 4096
MAX_PROCESSES_OF_USER = 16_384  # the kernel counts all of a user's processes and threads, Ray's too
CPU_S_PER_WALL_S = 4
LOAD_CPU_S = 120  # a verifier's imports, at its first case
_PR_SET_PDEATHSIG = 1


class Judge:
    """Loads verifiers and prepared references once and keeps them; judges one case at a time."""

    def __init__(self) -> None:
        self._verifiers: dict[str, Verifier[Any, Any]] = {}
        self._prepared: OrderedDict[tuple[str, bool, str], Any] = OrderedDict()

    def knows(self, key: str) -> bool:
        """Whether the verifier of this key is loaded."""
        return key in self._verifiers

    def load(self, key: str, name: str, options: Any) -> None:
        """Raises `HoneError` for an unknown verifier or option."""
        verifier = load_verifier(name, options)
        for module in verifier.imports:
            importlib.import_module(module)
        self._verifiers[key] = verifier

    def judge(self, key: str, reference: Any, answer: FinalAnswer) -> Verdict:
        """Never raises; a bad reference or a broken verifier is a verdict of status `error`."""
        verifier = self._verifiers[key]
        started = time.perf_counter()
        try:
            text = reference if type(reference) is str else json.dumps(reference, sort_keys=True)
            cache_key = (key, type(reference) is str, text)
            if cache_key in self._prepared:
                self._prepared.move_to_end(cache_key)
            else:
                self._prepared[cache_key] = verifier.prepare(reference)
                if len(self._prepared) > MAX_PREPARED:
                    self._prepared.popitem(last=False)
            verdict = verifier.judge_prepared(self._prepared[cache_key], answer)
        except HoneError as why:
            return Verdict.failed("bad_reference", str(why), seconds=time.perf_counter() - started)
        except Exception as why:  # noqa: BLE001 - the boundary where plug-in code may fail
            reason = f"{verifier.kind}.prepare raised {type(why).__name__}: {why}"
            return Verdict.failed("verifier_raised", reason, seconds=time.perf_counter() - started)
        return verdict


def case_key(name: str, options: Mapping[str, Any]) -> str:
    """One key for each verifier as configured: its name, and its options as one line of JSON."""
    return f"{name}\n{json.dumps(dict(options), sort_keys=True) if options else '{}'}\n"


def split_key(key: str) -> tuple[str, dict[str, Any]]:
    """The name and the options of a `case_key`."""
    name, _, options = key[:-1].rpartition("\n")
    return name, json.loads(options)


def serve(connection: socket.socket, case_cpu_s: int) -> None:
    """Judge the cases of one socket until its other end closes; each may take `case_cpu_s` of processor time."""
    judge = Judge()
    _, most_cpu_s = resource.getrlimit(resource.RLIMIT_CPU)
    with connection, connection.makefile("rb", buffering=1 << 16) as lines:
        for line in lines:
            case_id, key, reference, text, status = json.loads(line)
            # The parent's wall clock kills first, unless a case runs in many threads or the parent is stopped.
            resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + case_cpu_s, most_cpu_s))
            verdict = None
            if not judge.knows(key):
                verdict = _load(judge, key)
                connection.sendall(json.dumps([key, time.monotonic()]).encode() + b"\n")
            if verdict is None:
                verdict = judge.judge(key, reference, FinalAnswer(text, status))
            connection.sendall(json.dumps([case_id, time.monotonic(), *verdict.to_row()]).encode() + b"\n")


def _load(judge: Judge, key: str) -> Verdict | None:
    """Load the verifier that a key names; a verdict where it cannot be."""
    name, options = split_key(key)
    try:
        judge.load(key, name, options)
    except HoneError as why:
        return Verdict.failed("bad_verifier", str(why))
    except Exception as why:  # noqa: BLE001 - importing plug-in code
        return Verdict.failed("bad_verifier", f"loading {name!r}: {type(why).__name__}: {why}")
    return None


def _die_with_parent(parent_pid: int) -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(0)


def _limit(memory_bytes: int) -> None:
    """Memory, processes, core files, open files and written file size of a worker."""
    wanted = {
        resource.RLIMIT_NPROC: MAX_PROCESSES_OF_USER,
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: 256,
        resource.RLIMIT_FSIZE: 64 << 20,
    }
    for what, value in wanted.items():
        _, hard = resource.getrlimit(what)
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(what, (allowed, allowed))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("800")


class Zygote:
    """Forks workers on request over one control socket."""

    def __init__(self, control: socket.socket, memory_bytes: int, case_cpu_s: int) -> None:
        self.control = control
        self.memory_bytes = memory_bytes
        self.case_cpu_s = case_cpu_s
        self.children: set[int] = set()

    def run(self) -> None:
        """Serve until the socket closes or the parent is gone (looked at every second)."""
        parent = os.getppid()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError), self:
            while os.getppid() == parent:
                if not select.select([self.control], [], [], 1.0)[0]:
                    continue
                packet = self.control.recv(1 << 16)
                if not packet:
                    return
                self._handle(json.loads(packet))

    def __enter__(self) -> Zygote:
        return self

    def __exit__(self, *_: object) -> None:
        for pid in list(self.children):
            self._kill(pid)

    def _handle(self, request: dict[str, Any]) -> None:
        if "spawn" in request:
            self._spawn()
        elif "kill" in request:
            self._kill(request["kill"])
        elif "preload" in request:
            with contextlib.suppress(Exception):  # a worker that needs it will report the failure
                for module in load_verifier(request["preload"], request["options"]).imports:
                    importlib.import_module(module)
            gc.collect()
            gc.freeze()

    def _spawn(self) -> None:
        ours, theirs = socket.socketpair()
        zygote_pid = os.getpid()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                self.control.close()
                ours.close()
                _die_with_parent(zygote_pid)
                _limit(self.memory_bytes)
                serve(theirs, self.case_cpu_s)
                status = 0
            except (BrokenPipeError, ConnectionResetError):
                status = 0
            finally:
                os._exit(status)
        self.children.add(pid)
        theirs.close()
        socket.send_fds(self.control, [json.dumps({"pid": pid}).encode()], [ours.fileno()])
        ours.close()

    def _kill(self, pid: int) -> None:
        if pid in self.children:
            self.children.discard(pid)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def main(control_fd: int, memory_bytes: int, timeout_s: float) -> None:
    """Entry point of the zygote process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle; it closes the socket
    control = socket.socket(fileno=control_fd)
    control.set_inheritable(False)
    gc.freeze()
    Zygote(control, memory_bytes, math.ceil(CPU_S_PER_WALL_S * timeout_s) + LOAD_CPU_S).run()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
