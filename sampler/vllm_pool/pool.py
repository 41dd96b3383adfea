"""The pool of rollout workers: streams groups back as they finish, and outlives the death of its workers."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayActorError

from sampler.rollout import RolloutGroup, SamplingPlan
from sampler.vllm_pool.remote_result import remote_result
from sampler.vllm_pool.sample_stats import SampleStats
from sampler.vllm_pool.sampler_config import SamplerConfig, engine_environment
from sampler.vllm_pool.weight_sync_client import PoolWeightSyncClient
from sampler.vllm_pool.worker import RolloutWorker, WeightState, WorkerInfo, WorkerResults
from sampler.vllm_pool.worker_slot import WorkerSlot
from verifiers.errors import BadInput, HoneError

if TYPE_CHECKING:
    from sampler.prompt import Prompt

_STOP_TIMEOUT_S = 10.0


class SamplerError(HoneError, RuntimeError):
    """The pool cannot go on: workers keep dying, or their weights are not what they should be."""


class SamplerPool:
    """`num_workers` vLLM replicas behind one `sample` call.

    Consumes prompts in order; each worker holds at most `in_flight_limit` rollouts and asks for more as it
    returns finished groups, so load balances itself. When a worker dies, the groups it owed go back to the front
    of the queue and a new worker starts, which serves only after it holds the current weights; seeds belong to
    rollouts, so the results are those of an undisturbed run. Used from one thread.
    """

    def __init__(
        self,
        model_path: str | Path,
        config: SamplerConfig,
        log_dir: str | Path,
        policy_version: int = 0,
        *,
        pooling: bool = False,
    ) -> None:
        """`policy_version` is that of the weights at `model_path`, a checkpoint in hub layout. With `pooling` the
        workers own a `PoolingEngine`: nothing is sampled."""
        self._pooling = pooling
        self.config = config
        self._model_path = str(model_path)
        self._log_dir = Path(log_dir).absolute()
        self._slots: list[WorkerSlot] = []
        self._weights = WeightState(policy_version)
        self._sampling = False
        self.num_restarts = 0
        self.stats: SampleStats | None = None

    # Life

    def warm_up(self) -> None:
        """Make the workers' processes, which import vLLM in the meantime; the checkpoint need not be there yet."""
        assert not self._slots, "the pool is running"
        self._log_dir.mkdir(parents=True, exist_ok=True)
        self._slots = [WorkerSlot(i, self._new_actor(i)) for i in range(self.config.num_workers)]

    def start(self) -> None:
        """Start all workers and wait until each can sample."""
        if not self._slots:
            self.warm_up()
        assert not self.worker_infos, "the pool is running"
        for slot in self._slots:
            slot.begin(slot.actor, self._weights)
        try:
            self.wait_until_ready()
        except BaseException:
            self.shutdown()
            raise

    def wait_until_ready(self) -> None:
        """Wait until every worker serves, those included that replace dead ones."""
        for slot in self._slots:
            while slot.is_starting:
                try:
                    slot.info = remote_result(slot.call, self.config.start_timeout_s)
                    slot.call = None
                except RayActorError as death:
                    self._replace(slot, deque(), death)

    def shutdown(self) -> None:
        """Stop every worker of this pool and nothing else; harmless when called again."""
        slots, self._slots = self._slots, []
        stopping = [slot.actor.stop.remote() for slot in slots if not slot.is_starting]
        if stopping:
            ray.wait(stopping, num_returns=len(stopping), timeout=_STOP_TIMEOUT_S)
        for slot in slots:
            ray.kill(slot.actor)

    def __enter__(self) -> SamplerPool:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    @property
    def policy_version(self) -> int:
        """The version of the weights that every worker samples from."""
        return self._weights.policy_version

    @property
    def worker_infos(self) -> list[WorkerInfo]:
        """The workers that serve at present."""
        return [slot.info for slot in self._slots if slot.info is not None]

    @property
    def num_inference_ranks(self) -> int:
        """How many vLLM processes take part in a weight transfer."""
        return self.config.num_workers * self.config.tensor_parallel_size

    # Sampling

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
            self._replace(slot, waiting, death)
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
                self._replace(slot, deque(), None)

    # Weights

    def weight_sync_client(self, policy_version: int) -> PoolWeightSyncClient:
        """What the trainer's weight-transfer engine talks to for the sync that makes `policy_version`."""
        if self._sampling:
            raise SamplerError("weights cannot be exchanged while sample() is under way")
        self.wait_until_ready()
        if not self._may_lose_workers:
            _, dead = self._living_and_dead()
            for slot in dead:
                self._replace(slot, deque(), None)
            self.wait_until_ready()
        actors = [slot.actor for slot in self._slots]
        return PoolWeightSyncClient(
            actors,
            policy_version,
            self.config.tensor_parallel_size,
            needs_all=not self._may_lose_workers,
        )

    @property
    def _may_lose_workers(self) -> bool:
        """Whether weights reach the living, and those that come later, though a worker has died."""
        return self.config.weight_transfer_backend == "shared_memory"

    def restart_from(self, model_path: str | Path) -> None:
        """Workers that die from now on start anew from this checkpoint, of the same weights: where the last sync left
        them is about to go."""
        self._model_path, self._weights = str(model_path), WeightState(self._weights.policy_version)

    def commit_weights(self, policy_version: int) -> None:
        """After the trainer sent weights: check that every worker serves `policy_version`, replace the dead.

        Raises SamplerError when a living worker serves another version.
        """
        states, dead = self._living_and_dead()
        if not states:
            raise SamplerError("every rollout worker died during the weight sync")
        for number, state in states.items():
            if state.policy_version != policy_version:
                raise SamplerError(
                    f"rollout worker {number} serves policy version {state.policy_version}, not {policy_version}: "
                    "the weight sync did not take"
                )
        self._weights = next(iter(states.values()))
        for slot in dead:
            self._replace(slot, deque(), None)
        self.wait_until_ready()

    def weight_checksums(self, dtype: str) -> list[dict[str, int]]:
        """Of the weights that each vLLM process was given last, by hub name; a checkpoint's are found in ``dtype``."""
        self.wait_until_ready()
        found: list[dict[str, int]] = []
        for call in [slot.actor.weight_checksums.remote(dtype) for slot in self._slots]:
            with suppress(RayActorError):  # one that has died is replaced before it is sampled from
                found += remote_result(call)
        return found

    def revive(self) -> int:
        """After a sync that failed: replace the workers that have died; how many were. The new ones hold their
        checkpoint's weights: nothing may be sampled before the next sync has succeeded. None is replaced where the
        backend has met the workers already: a new one would wait for a meeting that is over."""
        if self._weights.init_info is not None and not self._may_lose_workers:
            return 0
        _, dead = self._living_and_dead()
        if dead:  # what the last sync left in shared memory may be gone by now
            self._weights = WeightState(self._weights.policy_version, self._weights.init_info)
        for slot in dead:
            self._replace(slot, deque(), None)
        return len(dead)

    # Workers that die

    def _living_and_dead(self) -> tuple[dict[int, WeightState], list[WorkerSlot]]:
        """The states of the workers that answer, by number; the places of those that have died."""
        states: dict[int, WeightState] = {}
        for slot in self._slots:
            with suppress(RayActorError):
                states[slot.number] = ray.get(slot.actor.weight_state.remote())
        return states, [slot for slot in self._slots if slot.number not in states]

    def _replace(self, slot: WorkerSlot, waiting: deque[Prompt], death: BaseException | None) -> None:
        """Put the worker's unfinished prompts back in front and start another in its place."""
        waiting.extendleft(reversed(slot.forgive()))
        self.num_restarts += 1
        if self.num_restarts > self.config.max_restarts:
            raise SamplerError(
                f"rollout worker {slot.number} died and max_restarts={self.config.max_restarts} is used up; "
                f"its log is {self._log_path(slot.number)}"
            ) from death
        if self._weights.update_info is not None and not self._may_lose_workers:
            raise SamplerError(
                f"rollout worker {slot.number} died; the {self.config.weight_transfer_backend} backend cannot "
                "bring a new one to the current weights: continue from the last checkpoint, or use shared_memory"
            ) from death
        slot.begin(self._new_actor(slot.number), self._weights)

    def _new_actor(self, number: int) -> Any:
        actor_class: Any = ray.remote(RolloutWorker).options(
            num_cpus=self.config.num_cpus_per_worker,
            num_gpus=self.config.reserved_gpus,
            max_concurrency=4,  # an exchange that waits must not hold up a cancel
            runtime_env={"env_vars": engine_environment(self.config)},
        )
        return actor_class.remote(self._model_path, self.config, str(self._log_path(number)), self._pooling)

    def _log_path(self, number: int) -> Path:
        return self._log_dir / f"rollout-worker-{number}.log"
