"""The verifier service on every node of a cluster: one Ray actor a node, batches of cases, the same interface.

    VerifierService.submit -> ActorPool.put -> VerifierActor.judge (on the node with the least to do)
                                                  └─ its own worker processes, deadlines and kills

Cases and verdicts cross as JSON text, never as pickled objects of a verifier.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from rl.run.ray_session import ray_session
from verifiers.answer import FinalAnswer
from verifiers.case import Case, Job
from verifiers.plain_value import json_text
from verifiers.service.service import VerifierService
from verifiers.verdict import Verdict

MAX_PENDING_PER_WORKER = 256
CASES_PER_CALL = 64
CRASH_RETRIES = 1


class VerifierActor:
    """One node's verifier service. Made by `ActorPool`; cases come and verdicts go as JSON lists."""

    def __init__(self, num_workers: int, timeout_s: float) -> None:
        self._service = VerifierService(num_workers=num_workers, timeout_s=timeout_s)

    async def judge(self, cases: str) -> str:
        """Verdicts in the order of the cases, as soon as the last is there."""
        verdicts = await asyncio.gather(*(self._service.judge(_case(line)) for line in json.loads(cases)))
        return json.dumps([verdict.to_json() for verdict in verdicts])

    @ray.method(max_task_retries=-1)
    async def worker_pids(self) -> list[int]:
        """Of this node; asked while the actor starts again, the reply comes once it is there."""
        return self._service.worker_pids()


@dataclass(eq=False)
class _Node:
    """One actor, how many cases it holds, and whether it takes more: not from its death until it is back."""

    actor: Any
    num_pending: int = 0
    is_up: bool = True


class ActorPool:
    """Spreads jobs over one `VerifierActor` a node; what `VerifierService.over` wants.

    An actor holds at most ``MAX_PENDING_PER_WORKER`` cases for each of its processes; more wait here. When an actor or
    its node dies, its cases are tried once more on whichever node is up, then get status ``error``.

    Consumes: jobs, from any thread. Waits for: actors' replies. Unblocked by: a job, a reply, an actor's death or
    return, `close`. Produces: one verdict per job, through its future.
    """

    def __init__(self, *, num_workers: int, timeout_s: float) -> None:
        self._limit = num_workers * MAX_PENDING_PER_WORKER
        self._nodes = [
            _Node(_start_actor(node["NodeID"], num_workers, timeout_s))
            for node in ray.nodes()
            if node["Alive"]
        ]
        self._queue: deque[tuple[Job, str]] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="verifier-actors", daemon=True)
        self._thread.start()

    def put(self, job: Job) -> None:
        """Queue a case; one that is not plain JSON, or comes after ``close``, gets status ``error`` at once."""
        try:
            line = json_text(_line(job.case))
        except (TypeError, ValueError) as why:
            job.resolve(Verdict.failed("not_json", f"the reference is not plain JSON: {why}"))
            return
        with self._changed:
            if not self._closing:
                self._queue.append((job, line))
                self._changed.notify()
                return
        job.resolve(Verdict.failed("closed", "the service is closed"))

    def worker_pids(self) -> list[int]:
        """Worker processes of all nodes, in the nodes' order."""
        replies = ray.get([node.actor.worker_pids.remote() for node in self._nodes])
        return [pid for pids in replies for pid in pids]

    def close(self) -> None:
        """Give up what still waits, and end the actors with their processes."""
        with self._changed:
            self._closing = True
            waiting = list(self._queue)
            self._queue.clear()
            self._changed.notify()
        self._thread.join()
        for job, _ in waiting:
            job.resolve(Verdict.failed("closed", "the service was closed"))
        for node in self._nodes:
            ray.kill(node.actor)

    def _run(self) -> None:
        while (handed := self._next_batch()) is not None:
            node, batch = handed
            reply = node.actor.judge.remote("[" + ",".join(line for _, line in batch) + "]")
            reply.future().add_done_callback(partial(self._replied, node, batch))

    def _next_batch(self) -> tuple[_Node, list[tuple[Job, str]]] | None:
        """Wait until a node has room for waiting jobs; None when the pool closes."""
        with self._changed:
            while True:
                if self._closing:
                    return None
                node = min(self._nodes, key=lambda one: (not one.is_up, one.num_pending))
                room = self._limit - node.num_pending
                if self._queue and node.is_up and room > 0:
                    break
                self._changed.wait()
            batch: list[tuple[Job, str]] = []
            while self._queue and len(batch) < min(room, CASES_PER_CALL):
                job, line = self._queue.popleft()
                if job.num_crashes or job.future.set_running_or_notify_cancel():
                    batch.append((job, line))
            node.num_pending += len(batch)
            return node, batch

    def _replied(self, node: _Node, batch: list[tuple[Job, str]], done: Future[str]) -> None:
        why = done.exception()
        again: list[tuple[Job, str]] = []
        if why is None:
            for (job, _), verdict in zip(batch, json.loads(done.result()), strict=True):
                job.resolve(Verdict.from_json(verdict))
        else:
            for job, line in batch:
                job.num_crashes += 1
                if job.num_crashes <= CRASH_RETRIES and not self._closing:
                    again.append((job, line))
                else:
                    reason = f"the verifier actor died with this case: {str(why).splitlines()[0]}"
                    job.resolve(Verdict.failed("actor_died", reason))
        with self._changed:
            node.num_pending -= len(batch)
            self._queue.extendleft(reversed(again))
            if why is not None and node.is_up:
                node.is_up = False
                node.actor.worker_pids.remote().future().add_done_callback(lambda _: self._is_back(node))
            self._changed.notify()

    def _is_back(self, node: _Node) -> None:
        """The actor answers again, or Ray gave it up: then its next batch says so."""
        with self._changed:
            node.is_up = True
            self._changed.notify()


def judge_in_actor(case: Case) -> Verdict:
    """One verdict from inside a Ray actor, on a cluster started for it if there is none: for the conformance kit."""
    with ray_session(num_cpus=1, object_store_mib=128):
        pool = ActorPool(num_workers=1, timeout_s=60)
        with VerifierService.over(pool) as service:
            return service.submit(case).result()


def _start_actor(node_id: str, num_workers: int, timeout_s: float) -> Any:
    """An actor on that node; elsewhere when the node is lost, again when it dies."""
    remote = ray.remote(VerifierActor).options(
        num_cpus=0,
        max_restarts=-1,
        scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=True),
    )
    return remote.remote(num_workers, timeout_s)


def _line(case: Case) -> dict[str, Any]:
    return {
        "id": case.case_id,
        "verifier": case.verifier,
        "options": dict(case.options),
        "reference": case.reference,
        "text": case.answer.text,
        "status": case.answer.status,
    }


def _case(line: dict[str, Any]) -> Case:
    answer = FinalAnswer(line["text"], line["status"])
    return Case(line["id"], line["verifier"], line["options"], line["reference"], answer)
