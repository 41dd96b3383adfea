"""The parent's side of the worker processes: who works on what, who is late, who is dead."""

from __future__ import annotations

import contextlib
import math
import select
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from verifiers.case import Job
from verifiers.service.fork_server import ForkServer
from verifiers.service.worker_handle import WorkerHandle, encode_job
from verifiers.verdict import Verdict

MAX_WINDOW = 128
WINDOW_S = 0.06  # of work that a worker holds while many cases wait
DEEP_WINDOW = 8  # jobs; workers that hold at least half of so many can be left alone for a moment


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
        self.num_workers, self.timeout_s = num_workers, timeout_s
        self.recycle_after, self.num_spares, self.crash_retries = recycle_after, num_spares, crash_retries
        self.load_timeout_s = max(load_timeout_s, timeout_s)
        self._lock = threading.Lock()
        self._queue: deque[Job] = deque()
        self._hungry = False  # the pool's thread waits for a job, so `put` must wake it
        self._closing = False
        self._broken = ""
        self._workers: list[WorkerHandle] = []
        self._spares: list[WorkerHandle] = []
        self._mean_case_s = 0.004  # a guess until cases have come back
        self._selector = selectors.DefaultSelector()
        self._wake_receiver, self._wake_sender = socket.socketpair()
        self._wake_receiver.setblocking(False)
        self._selector.register(self._wake_receiver, selectors.EVENT_READ, self._woken)
        self._fork_server = ForkServer(memory_bytes, timeout_s)
        self._listen_to_fork_server()
        self._thread = threading.Thread(target=self._run, name="verifier-pool", daemon=True)
        self._thread.start()

    # --- called from any thread -------------------------------------------------------------------------

    def put(self, job: Job) -> None:
        """Queue a job; its future is resolved by the pool's thread."""
        with self._lock:
            refused = "the service is closed" if self._closing else self._broken
            if not refused:
                self._queue.append(job)
                wake = self._hungry
                self._hungry = False
        if refused:
            job.resolve(Verdict.failed("closed", refused))
        elif wake:
            self._wake()

    def worker_pids(self) -> list[int]:
        """Of working and spare processes."""
        with self._lock:
            return [worker.pid for worker in (*self._workers, *self._spares)]

    def close(self) -> None:
        """Stop the thread, then every process, and wait for their end."""
        with self._lock:
            self._closing = True
        self._wake()
        self._thread.join()
        self._fork_server.stop()
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
                self._rest()
                patience, now = self._patience(), time.monotonic()
                for key, events in self._selector.select(patience):
                    key.data(events)
                self._kill_late(now)
            except Exception as why:  # noqa: BLE001 - no future may be left waiting for ever
                self._broken = f"the verifier pool failed: {type(why).__name__}: {why}"
                self._fail_all(self._broken)
                return

    def _patience(self) -> float | None:
        """Seconds until the next deadline; none while a worker could be given a waiting job."""
        window = self._window()
        with self._lock:
            free_slot = any(_wants_more(worker, window) for worker in self._workers)
            if self._queue and free_slot:
                return 0.0
            self._hungry = free_slot
        deadline = self._next_deadline()
        return None if deadline == math.inf else max(0.0, deadline - time.monotonic())

    def _next_deadline(self) -> float:
        """When the first worker is late; infinite while none has a job."""
        return min((w.deadline(self.timeout_s, self.load_timeout_s) for w in self._workers), default=math.inf)

    def _window(self) -> int:
        """How many jobs a worker may hold: one for slow cases, several for fast ones while many wait."""
        fair_share = len(self._queue) // (2 * self.num_workers)
        return max(1, min(MAX_WINDOW, int(WINDOW_S / max(self._mean_case_s, 1e-6)), fair_share))

    def _rest(self) -> None:
        """While no worker can run short of cases: many verdicts are then read at once. A death or deadline ends it."""
        window = self._window()
        busy = sum(not _wants_more(worker, window) for worker in self._workers)
        if window < DEEP_WINDOW or busy < self.num_workers:
            return
        deaths = select.poll()
        for worker in self._workers:
            deaths.register(worker.connection, 0)
        rest_s = min(window * self._mean_case_s / 4, self._next_deadline() - time.monotonic())
        deaths.poll(max(0.0, 1000 * rest_s))

    def _hand_out(self) -> None:
        """Give waiting jobs to the workers that hold least, up to the window."""
        if not self._queue:
            return
        window = self._window()
        for worker in sorted(self._workers, key=lambda w: len(w.jobs)):
            lines: list[bytes] = []
            now = time.monotonic()
            if not _wants_more(worker, window):
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
                    lines.append(encode_job(job))
                except (TypeError, ValueError) as why:
                    job.resolve(Verdict.failed("not_json", f"options or reference are not plain JSON: {why}"))
                    continue
                self._fork_server.preload(job.key, job.case.verifier, job.case.options)
                job.sent_at = now
                worker.jobs.append(job)
            if lines:
                worker.outgoing += b"".join(lines)
                self._write(worker)

    def _write(self, worker: WorkerHandle) -> None:
        worker.send()
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.outgoing else 0)
        self._selector.modify(worker.connection, events, self._reader(worker))

    def _reader(self, worker: WorkerHandle) -> Callable[[int], None]:
        return lambda events: self._ready(worker, events)

    def _ready(self, worker: WorkerHandle, events: int) -> None:
        if events & selectors.EVENT_READ:
            messages = worker.receive()
            if messages is None:
                self._died(worker)
                return
            self._read(worker, messages)
        if events & selectors.EVENT_WRITE:
            self._write(worker)
        if worker.num_done >= self.recycle_after and not worker.jobs:
            self._replace(worker)

    def _read(self, worker: WorkerHandle, messages: list[list[Any]]) -> None:
        for name, done_at, *row in messages:
            if not row:
                worker.loaded.add(name)
                worker.last_done = done_at
                continue
            job = worker.jobs.popleft()
            assert job.case.case_id == name, "a worker answered out of order"
            began = max(job.sent_at, worker.last_done)
            self._mean_case_s += 0.1 * (done_at - began - self._mean_case_s)
            worker.last_done = done_at
            worker.num_done += 1
            job.resolve(Verdict(*row))

    # --- death and replacement --------------------------------------------------------------------------

    def _kill_late(self, now: float) -> None:
        """Whoever was late at ``now``, a moment before the sockets were read: what had come by then is known."""
        for worker in list(self._workers):
            late = worker.deadline(self.timeout_s, self.load_timeout_s)
            if late > now:
                continue
            job = worker.jobs.popleft()
            self._requeue(worker)
            self._replace(worker)
            reason = f"verifier {job.case.verifier!r} did not finish within {self.timeout_s:g} s"
            job.resolve(Verdict.timed_out(reason, seconds=self.timeout_s))

    def _died(self, worker: WorkerHandle) -> None:
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
            blamed.resolve(Verdict.failed("worker_died", reason))

    def _requeue(self, worker: WorkerHandle) -> None:
        """Jobs that waited behind the first one are innocent: back to the front of the queue."""
        with self._lock:
            self._queue.extendleft(reversed(worker.jobs))
        worker.jobs.clear()

    def _replace(self, worker: WorkerHandle) -> None:
        """Kill a worker, put a spare in its place at once, and ask for a new spare."""
        self._selector.unregister(worker.connection)
        worker.connection.close()
        self._fork_server.kill(worker.pid)
        with self._lock:
            if worker in self._workers:
                self._workers.remove(worker)
                if self._spares:
                    self._workers.append(self._spares.pop(0))
            else:
                self._spares.remove(worker)
        self._spawn_missing()

    # --- the fork server --------------------------------------------------------------------------------

    def _listen_to_fork_server(self) -> None:
        self._selector.register(self._fork_server.control, selectors.EVENT_READ, self._fork_server_ready)
        self._spawn_missing()

    def _spawn_missing(self) -> None:
        there = len(self._workers) + len(self._spares) + self._fork_server.num_spawning
        for _ in range(self.num_workers + self.num_spares - there):
            self._fork_server.spawn()

    def _fork_server_ready(self, _events: int) -> None:
        """A new worker came, or the fork server died and took its workers along: then another is started."""
        received = self._fork_server.receive()
        if received is None:
            self._selector.unregister(self._fork_server.control)
            self._fork_server.restart()
            self._listen_to_fork_server()
            return
        worker = WorkerHandle(*received)
        self._selector.register(worker.connection, selectors.EVENT_READ, self._reader(worker))
        with self._lock:
            (self._workers if len(self._workers) < self.num_workers else self._spares).append(worker)

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
            job.resolve(Verdict.failed("closed", reason))


def _wants_more(worker: WorkerHandle, window: int) -> bool:
    """A worker is refilled when its window is half empty: fewer, larger writes."""
    return len(worker.jobs) <= window // 2
