"""The parent's side of the worker processes: who works on what, who is late, who is dead."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from verifiers.case import Job
from verifiers.verdict import Verdict

MAX_WINDOW = 16
FAST_CASE_S = 0.004
MAX_ZYGOTE_RESTARTS = 3
_KEPT_ENV = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "SYSTEMROOT")
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def _zygote_env() -> dict[str, str]:
    """A small environment: nothing secret, the parent's import path, one thread for numerical libraries."""
    env = {name: os.environ[name] for name in _KEPT_ENV if name in os.environ}
    env.update(dict.fromkeys(_ONE_THREAD, "1"))
    env["PYTHONPATH"] = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    return env


class _Worker:
    """One worker process as the parent sees it: its socket and the jobs it holds, first the one it works on."""

    def __init__(self, pid: int, connection: socket.socket) -> None:
        self.pid = pid
        self.connection = connection
        connection.setblocking(False)
        self.jobs: deque[Job] = deque()
        self.loaded: set[str] = set()
        self.last_done = 0.0
        self.num_done = 0
        self.outgoing = bytearray()
        self.incoming = bytearray()

    def deadline(self, timeout_s: float, load_timeout_s: float) -> float | None:
        """When the first job is late: counted from when it was begun, and longer while its verifier loads."""
        if not self.jobs:
            return None
        job = self.jobs[0]
        allowed = timeout_s if job.key in self.loaded else load_timeout_s
        return max(job.sent_at, self.last_done) + allowed


class WorkerPool:
    """Keeps workers busy from one thread of its own; all state below `_lock` is shared with `put` and `close`."""

    def __init__(
        self,
        *,
        num_workers: int,
        timeout_s: float,
        memory_bytes: int,
        recycle_after: int,
        num_spares: int,
        crash_retries: int,
        load_timeout_s: float,
    ) -> None:
        self.num_workers, self.timeout_s, self.memory_bytes = num_workers, timeout_s, memory_bytes
        self.recycle_after, self.num_spares, self.crash_retries = recycle_after, num_spares, crash_retries
        self.load_timeout_s = max(load_timeout_s, timeout_s)
        self._lock = threading.Lock()
        self._queue: deque[Job] = deque()
        self._sleeping = False
        self._closing = False
        self._broken = ""
        self._workers: list[_Worker] = []
        self._spares: list[_Worker] = []
        self._num_spawning = 0
        self._num_restarts = 0
        self._preloaded: set[str] = set()
        self._mean_case_s = 0.0
        self._selector = selectors.DefaultSelector()
        self._wake_receiver, self._wake_sender = socket.socketpair()
        self._wake_receiver.setblocking(False)
        self._selector.register(self._wake_receiver, selectors.EVENT_READ, self._woken)
        self._start_zygote()
        self._thread = threading.Thread(target=self._run, name="verifier-pool", daemon=True)
        self._thread.start()

    # --- called from any thread -------------------------------------------------------------------------

    def put(self, job: Job) -> None:
        """Queue a job; its future is resolved by the pool's thread."""
        with self._lock:
            refused = "the service is closed" if self._closing else self._broken
            if not refused:
                self._queue.append(job)
                wake = self._sleeping
                self._sleeping = False
        if refused:
            _resolve(job, Verdict.failed("closed", refused))
        elif wake:
            self._wake()

    def worker_pids(self) -> list[int]:
        with self._lock:
            return [worker.pid for worker in (*self._workers, *self._spares)]

    def close(self) -> None:
        """Stop the thread, then every process, and wait for their end."""
        with self._lock:
            self._closing = True
        self._wake()
        self._thread.join()
        self._stop_zygote()
        for worker in (*self._workers, *self._spares):
            worker.connection.close()
        self._fail_all("the service was closed")
        self._selector.close()
        self._wake_receiver.close()
        self._wake_sender.close()

    # --- the pool's own thread --------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._closing:
            try:
                self._hand_out()
                with self._lock:
                    self._sleeping = not (self._queue and self._free_slots())
                for key, events in self._selector.select(self._patience()):
                    key.data(events)
                self._sleeping = False
                self._kill_late()
            except Exception as why:  # noqa: BLE001 - no future may be left waiting for ever
                self._broken = f"the verifier pool failed: {type(why).__name__}: {why}"
                self._fail_all(self._broken)
                return

    def _patience(self) -> float | None:
        """Seconds until the next deadline. A deep queue waits a little, to read many results at once."""
        deadlines = [
            late
            for w in self._workers
            if (late := w.deadline(self.timeout_s, self.load_timeout_s)) is not None
        ]
        if self._queue and self._free_slots():
            return 0.0
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None

    def _window(self) -> int:
        """How many jobs a worker may hold: one for slow cases, several for fast ones while many wait."""
        if self._mean_case_s > FAST_CASE_S:
            return 1
        return max(1, min(MAX_WINDOW, len(self._queue) // (2 * self.num_workers)))

    def _free_slots(self) -> bool:
        window = self._window()
        return any(len(worker.jobs) < window for worker in self._workers)

    def _hand_out(self) -> None:
        """Give waiting jobs to the workers that hold least, up to the window."""
        if not self._queue:
            return
        window = self._window()
        for worker in sorted(self._workers, key=lambda w: len(w.jobs)):
            lines: list[bytes] = []
            now = time.monotonic()
            # Refill only when half empty: fewer, larger writes.
            if len(worker.jobs) > window // 2:
                continue
            while len(worker.jobs) < window:
                with self._lock:
                    if not self._queue:
                        break
                    job = self._queue.popleft()
                first_time = not job.sent_at
                if first_time and not job.future.set_running_or_notify_cancel():
                    continue  # cancelled while it waited
                try:
                    lines.append(_encode(job))
                except (TypeError, ValueError) as why:
                    _resolve(
                        job, Verdict.failed("not_json", f"options or reference are not plain JSON: {why}")
                    )
                    continue
                self._preload(job.case.verifier)
                job.sent_at = now
                worker.jobs.append(job)
            if lines:
                worker.outgoing += b"".join(lines)
                self._write(worker)

    def _write(self, worker: _Worker) -> None:
        with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            sent = worker.connection.send(worker.outgoing)
            del worker.outgoing[:sent]
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.outgoing else 0)
        self._selector.modify(worker.connection, events, self._reader(worker))

    def _reader(self, worker: _Worker) -> Callable[[int], None]:
        return lambda events: self._ready(worker, events)

    def _ready(self, worker: _Worker, events: int) -> None:
        if events & selectors.EVENT_READ:
            try:
                data = worker.connection.recv(1 << 18)
            except BlockingIOError:
                data = None
            except ConnectionResetError:
                data = b""
            if data == b"":
                self._died(worker)
                return
            if data:
                self._read_lines(worker, data)
        if events & selectors.EVENT_WRITE:
            self._write(worker)
        if worker.num_done >= self.recycle_after and not worker.jobs:
            self._replace(worker)

    def _read_lines(self, worker: _Worker, data: bytes) -> None:
        worker.incoming += data
        *lines, rest = bytes(worker.incoming).split(b"\n")
        worker.incoming = bytearray(rest)
        for line in lines:
            message = json.loads(line)
            if "l" in message:
                worker.loaded.add(message["l"])
                worker.last_done = message["m"]
                continue
            job = worker.jobs.popleft()
            assert job.case.case_id == message["i"], "a worker answered out of order"
            began = max(job.sent_at, worker.last_done)
            self._mean_case_s += 0.1 * (message["m"] - began - self._mean_case_s)
            worker.last_done = message["m"]
            worker.num_done += 1
            _resolve(job, Verdict.from_json(message["d"]))

    # --- death and replacement --------------------------------------------------------------------------

    def _kill_late(self) -> None:
        now = time.monotonic()
        for worker in list(self._workers):
            late = worker.deadline(self.timeout_s, self.load_timeout_s)
            if late is None or late > now:
                continue
            job = worker.jobs.popleft()
            self._requeue(worker)
            self._replace(worker)
            reason = f"verifier {job.case.verifier!r} did not finish within {self.timeout_s:g} s"
            _resolve(job, Verdict.timed_out(reason, seconds=self.timeout_s))

    def _died(self, worker: _Worker) -> None:
        blamed = worker.jobs.popleft() if worker.jobs else None
        self._requeue(worker)
        self._replace(worker)
        if blamed is None:
            return
        blamed.num_crashes += 1
        if blamed.num_crashes <= self.crash_retries:
            with self._lock:
                self._queue.appendleft(blamed)
        else:
            reason = f"the worker process died while verifier {blamed.case.verifier!r} judged this case"
            _resolve(blamed, Verdict.failed("worker_died", reason))

    def _requeue(self, worker: _Worker) -> None:
        """Jobs that waited behind the first one are innocent: back to the front of the queue."""
        with self._lock:
            self._queue.extendleft(reversed(worker.jobs))
        worker.jobs.clear()

    def _replace(self, worker: _Worker) -> None:
        """Kill a worker, put a spare in its place at once, and ask for a new spare."""
        self._selector.unregister(worker.connection)
        worker.connection.close()
        self._tell_zygote({"kill": worker.pid})
        with self._lock:
            if worker in self._workers:
                self._workers.remove(worker)
                if self._spares:
                    self._workers.append(self._spares.pop(0))
            else:
                self._spares.remove(worker)
        self._spawn_missing()

    def _spawn_missing(self) -> None:
        missing = (
            self.num_workers + self.num_spares - len(self._workers) - len(self._spares) - self._num_spawning
        )
        for _ in range(missing):
            self._num_spawning += 1
            self._tell_zygote({"spawn": 1})

    # --- the zygote -------------------------------------------------------------------------------------

    def _start_zygote(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        fd = theirs.fileno()
        self._zygote = subprocess.Popen(
            [sys.executable, "-m", "verifiers.worker", str(fd), str(self.memory_bytes)],
            pass_fds=[fd],
            env=_zygote_env(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        theirs.close()
        self._control = ours
        self._selector.register(ours, selectors.EVENT_READ, self._zygote_ready)
        self._num_spawning = 0
        for name in self._preloaded:
            self._tell_zygote({"preload": name})
        self._spawn_missing()

    def _preload(self, name: str) -> None:
        """From now on new workers are born with this verifier's modules."""
        if name not in self._preloaded:
            self._preloaded.add(name)
            self._tell_zygote({"preload": name})

    def _tell_zygote(self, request: dict[str, Any]) -> None:
        with contextlib.suppress(
            BrokenPipeError, ConnectionResetError
        ):  # its end is handled where it is read
            self._control.send(json.dumps(request).encode())

    def _zygote_ready(self, _events: int) -> None:
        packet = b""
        descriptors: list[int] = []
        with contextlib.suppress(ConnectionResetError):
            packet, descriptors, _, _ = socket.recv_fds(self._control, 1 << 12, 1)
        if not packet:
            self._restart_zygote()
            return
        self._num_restarts = 0
        worker = _Worker(json.loads(packet)["pid"], socket.socket(fileno=descriptors[0]))
        self._num_spawning -= 1
        self._selector.register(worker.connection, selectors.EVENT_READ, self._reader(worker))
        with self._lock:
            (self._workers if len(self._workers) < self.num_workers else self._spares).append(worker)

    def _restart_zygote(self) -> None:
        """The zygote died and took its workers along: start another, a few times."""
        self._num_restarts += 1
        self._selector.unregister(self._control)
        self._stop_zygote()
        if self._num_restarts > MAX_ZYGOTE_RESTARTS:
            raise RuntimeError(
                "its fork server ends as soon as it starts; run `python -m verifiers.worker` to see why"
            )
        self._start_zygote()

    def _stop_zygote(self) -> None:
        self._control.close()
        try:
            self._zygote.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._zygote.kill()
            self._zygote.wait()

    # --- small things -----------------------------------------------------------------------------------

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            self._wake_sender.send(b"w")

    def _woken(self, _events: int) -> None:
        with contextlib.suppress(BlockingIOError):
            self._wake_receiver.recv(4096)

    def _fail_all(self, reason: str) -> None:
        with self._lock:
            jobs = [*self._queue, *(job for worker in self._workers for job in worker.jobs)]
            self._queue.clear()
            for worker in self._workers:
                worker.jobs.clear()
        for job in jobs:
            _resolve(job, Verdict.failed("closed", reason))


def _encode(job: Job) -> bytes:
    case = job.case
    line = {
        "i": case.case_id,
        "v": case.verifier,
        "o": dict(case.options),
        "r": case.reference,
        "t": case.answer.text,
        "s": case.answer.status,
    }
    return json.dumps(line).encode() + b"\n"


def _resolve(job: Job, verdict: Verdict) -> None:
    if not job.future.done():
        job.future.set_result(verdict)
