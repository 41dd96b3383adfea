"""Judging in worker processes that can be killed: the same interface inline, pooled, threaded and from asyncio."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from types import TracebackType
from typing import Protocol

from verifiers.case import Case, Job
from verifiers.errors import BadInput
from verifiers.service.worker import Judge, case_key
from verifiers.verdict import Verdict

MAX_PENDING = 100_000


class CasePool(Protocol):
    """Whatever judges cases somewhere else and resolves each job's future once."""

    def put(self, job: Job) -> None:
        """From any thread; the job is resolved exactly once, at the latest by `close`."""

    def worker_pids(self) -> list[int]:
        """Processes that may be judging now: what a test may kill."""

    def close(self) -> None:
        """Resolve what is left with an error and end the processes."""


class VerifierService:
    """Judges cases in `num_workers` persistent processes; `num_workers=0` judges in the caller's own thread.

    A case has `timeout_s` from the moment a worker begins it; then that worker is killed (SIGKILL), a spare that
    is already running takes its place, and only that case gets status `timeout`. A worker that dies costs only
    its own case (`error`, after `crash_retries` further tries). Cases that waited behind go back to the queue.
    `submit` blocks while `max_pending` cases wait. With `num_workers=0` nothing can be killed: no deadline.

    Consumes: cases, from any thread. Waits for: worker sockets, deadlines. Unblocked by: a submitted case, a
    worker's line, a worker's death, `close`. Produces: one verdict per case, through its future.

    >>> with VerifierService(num_workers=2, timeout_s=5) as service:      # doctest: +SKIP
    ...     verdicts = service.judge_many(cases)                          # {case_id: Verdict}
    """

    def __init__(
        self,
        num_workers: int = 1,
        timeout_s: float = 10.0,
        *,
        memory_gib: float = 2.0,
        recycle_after: int = 20_000,
        max_pending: int = MAX_PENDING,
        num_spares: int = 1,
        crash_retries: int = 1,
        load_timeout_s: float = 120.0,
    ) -> None:
        if num_workers < 0 or timeout_s <= 0 or memory_gib <= 0 or recycle_after < 1 or max_pending < 1:
            raise BadInput(
                "num_workers is at least 0; timeout_s, memory_gib, recycle_after and max_pending are positive"
            )
        pool: CasePool | None = None
        if num_workers:
            from verifiers.service.worker_pool import WorkerPool

            pool = WorkerPool(
                num_workers=num_workers,
                timeout_s=timeout_s,
                memory_bytes=int(memory_gib * 2**30),
                recycle_after=recycle_after,
                num_spares=num_spares,
                crash_retries=crash_retries,
                load_timeout_s=load_timeout_s,
            )
        self._set_up(pool, max_pending)

    @classmethod
    def over(cls, pool: CasePool) -> VerifierService:
        """The same service over workers of another sort, as on a cluster's nodes (`rl.experience.verifier_actor`)."""
        service = cls.__new__(cls)
        service._set_up(pool, MAX_PENDING)
        return service

    def _set_up(self, pool: CasePool | None, max_pending: int) -> None:
        self._pool = pool
        self._judge = Judge()
        self._inline_lock = threading.Lock()
        self._closed = False
        self._room = threading.Semaphore(max_pending)

    def __enter__(self) -> VerifierService:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def submit(self, case: Case) -> Future[Verdict]:
        """Queue one case; blocks while the queue is full. The future never holds an exception of a verifier."""
        self._check_open()
        job = _job_of(case)
        if self._pool is None:
            self._judge_inline(job)
        elif not job.future.done():
            self._room.acquire()
            self._hand_over(job)
        return job.future

    async def judge(self, case: Case) -> Verdict:
        """One verdict, from asyncio; waits without blocking the loop."""
        self._check_open()
        job = _job_of(case)
        if self._pool is None:
            self._judge_inline(job)
        elif not job.future.done():
            while not self._room.acquire(blocking=False):
                await asyncio.sleep(0.005)
            self._hand_over(job)
        return await asyncio.wrap_future(job.future)

    def judge_many(self, cases: Iterable[Case]) -> dict[str, Verdict]:
        """Verdicts by case id. Raises `BadInput` when two cases share an id."""
        futures: dict[str, Future[Verdict]] = {}
        for case in cases:
            if case.case_id in futures:
                raise BadInput(f"two cases have the id {case.case_id!r}; ids must differ")
            futures[case.case_id] = self.submit(case)
        for future in reversed(futures.values()):
            future.result()  # the last first: this thread then sleeps once, not once a case
        return {case_id: future.result() for case_id, future in futures.items()}

    def worker_pids(self) -> list[int]:
        """Process ids of the workers now running, spares included (for tests and monitoring)."""
        return self._pool.worker_pids() if self._pool is not None else []

    def close(self) -> None:
        """Stop every process; cases still waiting get status `error`, code `closed`. Safe to call twice."""
        if not self._closed:
            self._closed = True
            if self._pool is not None:
                self._pool.close()

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("this VerifierService is closed")

    def _hand_over(self, job: Job) -> None:
        assert self._pool is not None
        job.future.add_done_callback(lambda _: self._room.release())
        self._pool.put(job)

    def _judge_inline(self, job: Job) -> None:
        """The same path as a worker's, in this thread; unknown verifiers and options are verdicts here too."""
        if job.future.done():
            return
        with self._inline_lock:
            if not self._judge.knows(job.key):
                self._judge.load(job.key)
            job.resolve(self._judge.judge(job.key, job.case.reference, job.case.answer))


def _job_of(case: Case) -> Job:
    """A job; resolved already where the case's options cannot go to a worker."""
    try:
        return Job(case, case_key(case.verifier, case.options))
    except (TypeError, ValueError) as why:
        job = Job(case, "")
        job.resolve(Verdict.failed("not_json", f"options of verifier {case.verifier!r}: {why}"))
        return job
