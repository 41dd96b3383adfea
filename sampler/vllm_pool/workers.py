"""The rollout workers of a pool: started, given weights, and replaced when they die."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import ray
from ray.exceptions import RayActorError

from sampler.vllm_pool.remote_result import remote_result
from sampler.vllm_pool.sampler_config import SamplerConfig, engine_environment
from sampler.vllm_pool.transfer.weight_sync_client import PoolWeightSyncClient
from sampler.vllm_pool.worker import RolloutWorker, WeightState, WorkerInfo
from sampler.vllm_pool.worker_slot import WorkerSlot
from verifiers.errors import HoneError

if TYPE_CHECKING:
    from sampler.prompt import Prompt

_STOP_TIMEOUT_S = 10.0


class SamplerError(HoneError, RuntimeError):
    """The pool cannot go on: workers keep dying, or their weights are not what they should be."""


class Workers:
    """`num_workers` vLLM replicas. When one dies another starts in its place, which serves only after it holds the
    current weights. Used from one thread."""

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
        self._have_met = False
        self.num_restarts = 0

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
                    self._replace(slot, death)

    def shutdown(self) -> None:
        """Stop every worker of this pool and nothing else; harmless when called again."""
        slots, self._slots = self._slots, []
        stopping = [slot.actor.stop.remote() for slot in slots if not slot.is_starting]
        if stopping:
            ray.wait(stopping, num_returns=len(stopping), timeout=_STOP_TIMEOUT_S)
        for slot in slots:
            ray.kill(slot.actor)

    def __enter__(self) -> Self:
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

    # Weights

    def weight_sync_client(self, policy_version: int) -> PoolWeightSyncClient:
        """What the trainer's weight-transfer engine talks to for the sync that makes `policy_version`."""
        self.wait_until_ready()
        if not self._may_lose_workers:
            _, dead = self._living_and_dead()
            for slot in dead:
                self._replace(slot)
            self.wait_until_ready()
        actors = [slot.actor for slot in self._slots]
        self._have_met = not self._may_lose_workers
        return PoolWeightSyncClient(
            actors,
            policy_version,
            self.config.tensor_parallel_size,
            needs_all=not self._may_lose_workers,
        )

    @property
    def _may_lose_workers(self) -> bool:
        """Whether weights reach the living, and those that come later, though a worker has died. With the other
        backends trainer and workers meet once, at the first sync, and a new worker would wait for a meeting that is
        over."""
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
            self._replace(slot)
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
        checkpoint's weights: nothing may be sampled before the next sync has succeeded. None is replaced once the
        trainer and the workers have met."""
        if self._have_met:
            return 0
        _, dead = self._living_and_dead()
        if dead:  # what the last sync left in shared memory may be gone by now
            self._weights = WeightState(self._weights.policy_version, self._weights.init_info)
        for slot in dead:
            self._replace(slot)
        return len(dead)

    # Workers that die

    def _living_and_dead(self) -> tuple[dict[int, WeightState], list[WorkerSlot]]:
        """The states of the workers that answer, by number; the places of those that have died."""
        states: dict[int, WeightState] = {}
        for slot in self._slots:
            with suppress(RayActorError):
                states[slot.number] = ray.get(slot.actor.weight_state.remote())
        return states, [slot for slot in self._slots if slot.number not in states]

    def _replace(self, slot: WorkerSlot, death: BaseException | None = None) -> list[Prompt]:
        """Start another worker in its place; the prompts that were owed."""
        owed = slot.forgive()
        self.num_restarts += 1
        if self.num_restarts > self.config.max_restarts:
            raise SamplerError(
                f"rollout worker {slot.number} died and max_restarts={self.config.max_restarts} is used up; "
                f"its log is {self._log_path(slot.number)}"
            ) from death
        if self._have_met:
            raise SamplerError(
                f"rollout worker {slot.number} died; the {self.config.weight_transfer_backend} backend cannot "
                "bring a new one to the current weights: continue from the last checkpoint, or use shared_memory"
            ) from death
        slot.begin(self._new_actor(slot.number), self._weights)
        return owed

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
