"""The pool of rollout workers: streams groups back as they finish, and outlives the death of its workers."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import ray
from ray.exceptions import RayActorError

from sampler.rollout import RolloutGroup, SamplingPlan
from sampler.vllm_pool.remote_result import remote_result
from sampler.vllm_pool.sample_stats import SampleStats
from sampler.vllm_pool.transfer.weight_sync_client import PoolWeightSyncClient
from sampler.vllm_pool.worker import WorkerInfo, WorkerResults
from sampler.vllm_pool.worker_slot import WorkerSlot
from sampler.vllm_pool.workers import SamplerError, Workers
from verifiers.errors import BadInput

if TYPE_CHECKING:
    from sampler.prompt import Prompt


class SamplerPool(Workers):
    """`num_workers` vLLM replicas behind one `sample` call.

    Consumes prompts in order; each worker holds at most `in_flight_limit` rollouts and asks for more as it
    returns finished groups, so load balances itself. When a worker dies, the groups it owed go back to the front
    of the queue; seeds belong to rollouts, so the results are those of an undisturbed run.
    """

    _sampling = False
    stats: SampleStats | None = None

    def sample(self, prompts: Sequence[Prompt], plan: SamplingPlan) -> Iterator[RolloutGroup]:
        """Yield each prompt's group as it finishes, in no fixed order; `stats` describes the call afterwards.

        Prompts that do not fit are dropped by rule and listed in `stats.dropped`. Closing the iterator half-way
        cancels what is left. Raises BadInput for a prompt given twice or one that cannot be rendered, SamplerError
        when workers died more than `max_restarts` times.
        """
        if not self._slots:
            raise SamplerError("the pool is not running: call start() first")
        if self._sampling:
            raise SamplerError("another sample() of this pool is under way")
        (prompt_id, times), *_ = Counter(prompt.prompt_id for prompt in prompts).most_common(1) or [("", 0)]
        if times > 1:
            raise BadInput(f"prompt {prompt_id} is given twice; raise num_samples instead")
        return self._sample(prompts, plan)

    def _sample(self, prompts: Sequence[Prompt], plan: SamplingPlan) -> Iterator[RolloutGroup]:
        self._sampling = True
        waiting = deque(prompts)
        stats, began, restarts_before = SampleStats(), time.perf_counter(), self.num_restarts
        try:
            while waiting or any(slot.owed for slot in self._slots):
                self._hand_out(waiting, plan)
                for slot in self._answered():
                    groups = self._take_in(slot, waiting, plan, stats)
                    # New prompts leave before the caller's work on these groups begins.
                    self._hand_out(waiting, plan)
                    for group in groups:
                        stats.count(group, time.perf_counter() - began)
                        yield group
        finally:
            self._sampling = False
            stats.num_restarts = self.num_restarts - restarts_before
            self.stats = stats
            self._cancel_unfinished()

    def _hand_out(self, waiting: deque[Prompt], plan: SamplingPlan) -> None:
        """Give idle workers prompts and a call that returns when a group is finished."""
        serving = [slot for slot in self._slots if not slot.is_starting]
        idle = [slot for slot in serving if slot.is_idle]
        if not idle:
            return
        # Towards the end nobody takes more than an even share of what is left.
        num_left = sum(map(plan.num_samples_for, waiting)) + sum(slot.num_owed_rollouts for slot in serving)
        limit = min(self.config.in_flight_limit, -(-num_left // len(serving)))
        for slot in idle:
            batch: list[Prompt] = []
            room = limit - slot.num_owed_rollouts
            while waiting and (room > 0 or not (slot.owed or batch)):
                batch.append(waiting.popleft())
                room -= plan.num_samples_for(batch[-1])
            if batch or slot.owed:
                slot.hand_over(batch, plan)

    def _answered(self) -> list[WorkerSlot]:
        """Wait until a call has returned; the workers whose calls have. Raises: SamplerError where all that is waited
        for is workers that start, and none does in time."""
        slot_of = {slot.call: slot for slot in self._slots if slot.call is not None}
        calls = list(slot_of)
        assert calls, "prompts are owed or waiting, and nobody works on them"
        only_starts = all(slot.is_starting for slot in slot_of.values())
        first, _ = ray.wait(
            calls, num_returns=1, timeout=self.config.start_timeout_s if only_starts else None
        )
        if not first:
            raise SamplerError(
                f"all rollout workers died, and none that takes their place has started within "
                f"sampler.start_timeout_s={self.config.start_timeout_s:g}: is a node lost, and its GPUs with it?"
            )
        answered, _ = ray.wait(calls, num_returns=len(calls), timeout=0)
        return [slot_of[call] for call in answered]

    def _take_in(
        self, slot: WorkerSlot, waiting: deque[Prompt], plan: SamplingPlan, stats: SampleStats
    ) -> list[RolloutGroup]:
        """The groups a call brought back; none from a worker that has just started or died."""
        call, slot.call = slot.call, None
        try:
            answer = remote_result(call)
        except RayActorError as death:
            waiting.extendleft(reversed(self._replace(slot, death)))
            return []
        if isinstance(answer, WorkerInfo):
            slot.info = answer
            return []
        assert isinstance(answer, WorkerResults)
        stats.dropped += answer.dropped
        return slot.settle(answer, plan)

    def _cancel_unfinished(self) -> None:
        """After a call that was given up: leave every worker idle and owing nothing."""
        for slot in self._slots:
            if slot.owed and not slot.is_starting and not slot.cancel():
                ray.kill(slot.actor)
                self._replace(slot)

    def weight_sync_client(self, policy_version: int) -> PoolWeightSyncClient:
        """As of `Workers`, between samples."""
        if self._sampling:
            raise SamplerError("weights cannot be exchanged while sample() is under way")
        return super().weight_sync_client(policy_version)
