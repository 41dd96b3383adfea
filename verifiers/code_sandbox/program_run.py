"""Starts a program in the sandbox, waits for it within a wall-clock limit, and reads what it left in the pipes."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
START_S = 10.0
MAX_OUTPUT_BYTES = 4 << 20
_FENCED, _NOT_FENCED = b'{"ready": true, "fenced": true}', b'{"ready": true, "fenced": false}'


class SandboxFailed(RuntimeError):
    """The sandbox itself did not come up: no judgement on the program."""


@dataclass
class Finished:
    """What a program left behind. `results` are the harness's lines by call number; a number met twice is dropped.
    `run_s` is its own time, from when the sandbox stood."""

    stdout: bytes
    results: dict[int, dict[str, Any]]
    run_s: float
    timed_out: bool
    overflowed: bool


def run_program(task: dict[str, Any], *, timeout_s: float, memory_bytes: int) -> Finished:
    """Run one task of `call_harness` in the sandbox, for `timeout_s` from when it stands. Raises `SandboxFailed`."""
    read_end, write_end = os.pipe()
    # A binary path without the virtual environment's packages: -I -S leaves only the standard library.
    command = [sys.executable, "-I", "-S", str(_HERE / "call_harness.py"), str(max(1, round(timeout_s + 1)))]
    command += [str(memory_bytes), str(write_end), str(_HERE / "jail.py")]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=[write_end],
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"},
        cwd="/",
        start_new_session=True,
    )
    os.close(write_end)
    try:
        with contextlib.suppress(BrokenPipeError):
            assert process.stdin is not None
            process.stdin.write(json.dumps(task).encode() + b"\n")
            process.stdin.close()
        began_at, stdout, lines, timed_out, overflowed = _collect(process, read_end, timeout_s)
        run_s = time.monotonic() - began_at
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        os.close(read_end)
    ready, results = _results(lines)
    if ready == _NOT_FENCED:
        _warn_once()
    if not ready:
        late = f"within {START_S + timeout_s:g} s" if timed_out else "on this machine (seccomp is needed)"
        raise SandboxFailed(f"the sandbox did not start {late}")
    return Finished(stdout, results, run_s, timed_out, overflowed)


def _collect(
    process: subprocess.Popen[bytes], read_end: int, timeout_s: float
) -> tuple[float, bytes, bytes, bool, bool]:
    """(when the program began, stdout, result lines, timed out, overflowed); stops when the program's own process has
    ended."""
    began_at = time.monotonic()
    deadline = began_at + START_S + timeout_s
    timed_out = overflowed = False
    assert process.stdout is not None
    buffers = {process.stdout.fileno(): bytearray(), read_end: bytearray()}
    with selectors.DefaultSelector() as selector:
        for fd in buffers:
            os.set_blocking(fd, False)
            selector.register(fd, selectors.EVENT_READ)
        while selector.get_map() and not overflowed:
            left = deadline - time.monotonic()
            if timed_out := left <= 0:
                break
            for key, _ in selector.select(min(left, 0.2)):
                data = os.read(key.fd, 1 << 16)
                if not data:
                    selector.unregister(key.fd)
                if key.fd == read_end and not buffers[read_end]:
                    began_at = time.monotonic()  # the sandbox stands, the program begins
                    deadline = began_at + timeout_s
                buffers[key.fd] += data
                overflowed = overflowed or len(buffers[key.fd]) > MAX_OUTPUT_BYTES
    stdout, lines = bytes(buffers[process.stdout.fileno()]), bytes(buffers[read_end])
    return began_at, stdout, lines, timed_out, overflowed


@functools.cache
def _warn_once() -> None:
    logging.getLogger(__name__).warning(
        "this kernel has no Landlock: programs that `code` judges may read this machine's files"
    )


def _results(lines: bytes) -> tuple[bytes, dict[int, dict[str, Any]]]:
    """How the sandbox came up (empty: not at all), and the results by call number without forged or repeated ones."""
    first, *rest = lines.split(b"\n")
    results: dict[int, dict[str, Any]] = {}
    repeated: set[int] = set()
    for line in rest:
        try:
            item = json.loads(line)
            number = item["n"]
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
        if type(number) is int:
            if number in results:
                repeated.add(number)
            results[number] = item
    return first if first in (_FENCED, _NOT_FENCED) else b"", {
        n: item for n, item in results.items() if n not in repeated
    }
