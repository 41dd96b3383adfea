"""The zygote: the process that workers are forked from, and that ends them.

    service (parent) --- control socket ---> zygote --- fork ---> worker, worker, worker
           \\________________ one socket each, JSON lines ________________/

It is a fresh, single-threaded interpreter: it inherits no torch, no Ray and no thread of the parent. It imports the
verifiers once, so that replacing a killed worker costs one fork. Workers die with the zygote (PR_SET_PDEATHSIG) and the
zygote with its parent (end of file on the control socket, or a new parent id). What a worker started dies with it:
orphans become the zygote's (PR_SET_CHILD_SUBREAPER), which kills them.

Control messages, one JSON object a packet: `{"spawn": n}` is answered by `{"pid": p}` with the worker's socket
attached; `{"kill": p, "stack": bool}` kills and reaps a worker (only here are pids known to be ours) and is answered
by `{"pid": p, "status": exit status, "stack": where it stood}`; `{"preload": key}`.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
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
import traceback
from pathlib import Path
from typing import Any

from verifiers.registry import load_verifier
from verifiers.service.worker import serve, split_key

MAX_PROCESSES_OF_USER = 16_384  # the kernel counts all of a user's processes and threads, Ray's too
CPU_S_PER_WALL_S = 4
LOAD_CPU_S = 120  # a verifier's imports, at its first case
STACK_SIGNAL = signal.SIGUSR1
STACK_WAIT_S = 0.2
MAX_STACK_BYTES = 8_192
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


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
        self.children: dict[int, int] = {}  # pid -> the memory file that its stack goes to when it ends

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
            pid = request["kill"]
            status, stack = self._kill(pid, with_stack=request["stack"])
            self.control.send(json.dumps({"pid": pid, "status": status, "stack": stack}).encode())
        elif "preload" in request:
            with contextlib.suppress(Exception, SystemExit):  # a worker that needs it will report the failure
                name, options = split_key(request["preload"])
                for module in load_verifier(name, options).imports:
                    importlib.import_module(module)
            gc.collect()
            gc.freeze()

    def _spawn(self) -> None:
        ours, theirs = socket.socketpair()
        stack_fd = os.memfd_create("stack")
        zygote_pid = os.getpid()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                self.control.close()
                ours.close()
                _die_with_parent(zygote_pid)
                os.setsid()
                faulthandler.enable(stack_fd)
                faulthandler.register(STACK_SIGNAL, stack_fd)
                _limit(self.memory_bytes)
                serve(theirs, self.case_cpu_s)
                status = 0
            except (BrokenPipeError, ConnectionResetError):
                status = 0
            except BaseException:  # noqa: BLE001 - nothing above this looks at it
                traceback.print_exc()
            finally:
                os._exit(status)
        self.children[pid] = stack_fd
        theirs.close()
        socket.send_fds(self.control, [json.dumps({"pid": pid}).encode()], [ours.fileno()])
        ours.close()

    def _kill(self, pid: int, *, with_stack: bool = False) -> tuple[int | None, str]:
        """End a worker and whatever it started; its exit status and, if asked for, the stack it stood at."""
        stack_fd = self.children.pop(pid, None)
        if stack_fd is None:
            return None, ""
        if with_stack:
            _ask_for_stack(pid, stack_fd)
        for end in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError):
                end(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        while strays := [child for child in _children_of(os.getpid()) if child not in self.children]:
            for child in strays:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
        stack = os.pread(stack_fd, MAX_STACK_BYTES, 0).decode(errors="replace")
        os.close(stack_fd)
        return os.waitstatus_to_exitcode(status), stack


def _ask_for_stack(pid: int, stack_fd: int) -> None:
    """Have a running worker's `faulthandler` write where it stands, and wait a moment for it."""
    if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
        return
    os.kill(pid, STACK_SIGNAL)
    size, deadline = 0, time.monotonic() + STACK_WAIT_S
    while time.monotonic() < deadline:
        time.sleep(0.005)
        before, size = size, os.fstat(stack_fd).st_size
        if size and size == before:
            return  # it is written


def _children_of(parent: int) -> list[int]:
    """Living and dead processes whose parent is this one."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it has ended meanwhile
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                    found.append(int(entry.name))
    return found


def main(control_fd: int, memory_bytes: int, timeout_s: float) -> None:
    """Entry point of the zygote process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle; it closes the socket
    control = socket.socket(fileno=control_fd)
    control.set_inheritable(False)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    gc.freeze()
    Zygote(control, memory_bytes, math.ceil(CPU_S_PER_WALL_S * timeout_s) + LOAD_CPU_S).run()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
