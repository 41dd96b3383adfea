"""The parent's side of the worker processes: who works on what, who is late, who is dead."""

from __future__ import annotations

import math
import select
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from verifiers.case import Job
from verifiers.service.case_window import DEEP_WINDOW, CaseWindow, wants_more
from verifiers.service.fork_server import ForkServer
from verifiers.service.lost_case import LostCase, LostCases
from verifiers.service.wakeup import Wakeup
from verifiers.service.worker_end import WorkerEnd
from verifiers.service.worker_handle import WorkerHandle, encode_job
from verifiers.service.worker_log import WorkerLog
from verifiers.verdict import Verdict


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
        self.recycle_after, self.num_spares = recycle_after, num_spares
        self.load_timeout_s = max(load_timeout_s, timeout_s)
        self._log = WorkerLog()
        self._lost_cases = LostCases(
            timeout_s=timeout_s,
            load_timeout_s=self.load_timeout_s,
            crash_retries=crash_retries,
            log=self._log,
        )
        self._ending: dict[int, LostCase] = {}  # by worker; how it ended is asked of the fork server
        self._lock = threading.Lock()
        self._queue: deque[Job] = deque()
        self._hungry = False  # the pool's thread waits for a job, so `put` must wake it
        self._closing = False
        self._broken = ""
        self._workers: list[WorkerHandle] = []
        self._spares: list[WorkerHandle] = []
        self._case_window = CaseWindow(num_workers)
        self._selector = selectors.DefaultSelector()
        self._wakeup = Wakeup()
        self._selector.register(self._wakeup, selectors.EVENT_READ, self._wakeup.rung)
        self._fork_server = ForkServer(memory_bytes, timeout_s, self._log.fd)
        self._listen_to_fork_server()
        self._thread = threading.Thread(target=self._run, name="verifier-pool", daemon=True)
        self._thread.start()

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
            self._wakeup.ring()

    def worker_pids(self) -> list[int]:
        """Of working and spare processes."""
        with self._lock:
            return [worker.pid for worker in (*self._workers, *self._spares)]

    def close(self) -> None:
        """Stop the thread, then every process, and wait for their end."""
        with self._lock:
            self._closing = True
        self._wakeup.ring()
        self._thread.join()
        self._fork_server.stop()
        for worker in (*self._workers, *self._spares):
            worker.connection.close()
        self._fail_all("the service was closed")
        self._log.close()
        self._selector.close()
        self._wakeup.close()

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
        window = self._case_window.size(len(self._queue))
        with self._lock:
            free_slot = any(wants_more(len(worker.jobs), window) for worker in self._workers)
            if self._queue and free_slot:
                return 0.0
            self._hungry = free_slot
        deadline = self._next_deadline()
        return None if deadline == math.inf else max(0.0, deadline - time.monotonic())

    def _next_deadline(self) -> float:
        """When the first worker is late; infinite while none has a job."""
        return min((w.deadline(self.timeout_s, self.load_timeout_s) for w in self._workers), default=math.inf)

    def _rest(self) -> None:
        """While no worker can run short of cases: many verdicts are then read at once. A death or deadline ends it."""
        window = self._case_window.size(len(self._queue))
        busy = sum(not wants_more(len(worker.jobs), window) for worker in self._workers)
        if window < DEEP_WINDOW or busy < self.num_workers:
            return
        deaths = select.poll()
        for worker in self._workers:
            deaths.register(worker.connection, 0)
        rest_s = min(window * self._case_window.mean_case_s / 4, self._next_deadline() - time.monotonic())
        deaths.poll(max(0.0, 1000 * rest_s))

    def _hand_out(self) -> None:
        """Give waiting jobs to the workers that hold least, up to the window."""
        if not self._queue:
            return
        window = self._case_window.size(len(self._queue))
        for worker in sorted(self._workers, key=lambda w: len(w.jobs)):
            lines: list[bytes] = []
            now = time.monotonic()
            if not wants_more(len(worker.jobs), window):
                continue
            while len(worker.jobs) < window:
                with self._lock:
                    if not self._queue:
                        break
                    job = self._queue.popleft()
                first_time = not job.sent_at
                if first_time and not job.future.set_running_or_notify_cancel():
                    continue  # cancelled while it waited
                if (refusal := self._lost_cases.refusal(job.key)) is not None:
                    job.resolve(refusal)
                    continue
                try:
                    lines.append(encode_job(job))
                except (TypeError, ValueError) as why:
                    job.resolve(Verdict.failed("not_json", f"the reference is not plain JSON: {why}"))
                    continue
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
                self._fork_server.preload(name)
                worker.loaded.add(name)
                if name in self._lost_cases.slow_imports:
                    worker.importing.add(name)
                worker.last_done = done_at
                continue
            job = worker.jobs.popleft()
            worker.loaded.add(job.key)
            worker.importing.discard(job.key)
            assert job.case.case_id == name, "a worker answered out of order"
            self._case_window.observe(done_at - max(job.sent_at, worker.last_done))
            worker.last_done = done_at
            worker.num_done += 1
            job.resolve(self._lost_cases.named(Verdict(*row)))

    def _kill_late(self, now: float) -> None:
        """Whoever was late at ``now``, a moment before the sockets were read: what had come by then is known."""
        for worker in list(self._workers):
            late = worker.deadline(self.timeout_s, self.load_timeout_s)
            if late > now:
                continue
            job = worker.jobs.popleft()
            self._ending[worker.pid] = LostCase(
                job, late=True, loading=worker.loads(job.key), loaded=job.key in worker.loaded
            )
            self._requeue(worker)
            self._replace(worker)

    def _died(self, worker: WorkerHandle) -> None:
        if worker.jobs:
            self._ending[worker.pid] = LostCase(worker.jobs.popleft())
        self._requeue(worker)
        self._replace(worker)

    def _ended(self, pid: int, end: WorkerEnd) -> None:
        """The fork server says how a worker ended: now its last case can be settled."""
        lost = self._ending.pop(pid, None)
        if lost is None:
            return
        verdict = self._lost_cases.settle(lost, end)
        if verdict is not None:
            lost.job.resolve(verdict)
            return
        with self._lock:
            self._queue.appendleft(lost.job)
            if lost.job.key in self._lost_cases.slow_imports:  # each worker has that import before it
                for worker in (*self._workers, *self._spares):
                    worker.importing.add(lost.job.key)

    def _requeue(self, worker: WorkerHandle) -> None:
        """Jobs that waited behind the first one are innocent: back to the front of the queue."""
        with self._lock:
            self._queue.extendleft(reversed(worker.jobs))
        worker.jobs.clear()

    def _replace(self, worker: WorkerHandle) -> None:
        """Kill a worker, put a spare in its place at once, and ask for a new spare."""
        self._selector.unregister(worker.connection)
        worker.connection.close()
        self._fork_server.kill(worker.pid, with_stack=worker.pid in self._ending)
        with self._lock:
            if worker in self._workers:
                self._workers.remove(worker)
                if self._spares:
                    self._workers.append(self._spares.pop(0))
            else:
                self._spares.remove(worker)
        self._spawn_missing()

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
            for pid in list(self._ending):
                self._ended(pid, WorkerEnd())
            self._fork_server.restart()
            self._listen_to_fork_server()
            return
        pid, arrived = received
        if isinstance(arrived, WorkerEnd):
            self._ended(pid, arrived)
            return
        worker = WorkerHandle(pid, arrived)
        self._selector.register(worker.connection, selectors.EVENT_READ, self._reader(worker))
        with self._lock:
            (self._workers if len(self._workers) < self.num_workers else self._spares).append(worker)

    def _fail_all(self, reason: str) -> None:
        with self._lock:
            jobs = [*self._queue, *(job for worker in self._workers for job in worker.jobs)]
            jobs += [lost.job for lost in self._ending.values()]
            self._queue.clear()
            self._ending.clear()
            for worker in self._workers:
                worker.jobs.clear()
        for job in jobs:
            job.resolve(Verdict.failed("closed", reason))
