"""The pool of rollout workers: streams groups back as they finish, and outlives the death of its workers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayActorError

from sampler.rollout import PromptLength, RolloutGroup, SamplingPlan
from sampler.sample_stats import SampleStats, SampleTally
from sampler.sampler_config import SamplerConfig, engine_environment
from sampler.weight_sync_client import PoolWeightSyncClient
from sampler.worker import RolloutWorker, WeightState, WorkerInfo, WorkerResults

if TYPE_CHECKING:
    from sampler.prompt import Prompt

_STOP_TIMEOUT_S = 10.0


class SamplerError(RuntimeError):
    """The pool cannot go on: workers keep dying, or their weights are not what they should be."""


@dataclass
class _Worker:
    """One place in the pool: its actor, the call under way, and the prompts it owes."""

    number: int
    actor: Any
    info: WorkerInfo | None = None
    call: Any = None
    owed: dict[str, Prompt] = field(default_factory=dict)
    num_owed_rollouts: int = 0

    @property
    def is_starting(self) -> bool:
        return self.info is None


class SamplerPool:
    """`num_workers` vLLM replicas behind one `sample` call.

    Consumes prompts in order; each worker holds at most `in_flight_limit` rollouts and asks for more as it returns
    finished groups, so load balances itself. When a worker dies, the groups it owed go back to the front of the queue
    and a new worker starts, which serves only after it holds the current weights; seeds belong to rollouts, so the
    results are those of an undisturbed run. Used from one thread.
    """

    def __init__(
        self, model_path: str | Path, config: SamplerConfig, log_dir: str | Path, policy_version: int = 0
    ) -> None:
        """`policy_version` is that of the weights at `model_path`, a checkpoint in hub layout."""
        self.config = config
        self._model_path = str(model_path)
        self._log_dir = Path(log_dir)
        self._workers: list[_Worker] = []
        self._weights = WeightState(policy_version)
        self._sampling = False
        self.num_restarts = 0
        self.stats: SampleStats | None = None

    # Life

    def start(self) -> None:
        """Start all workers and wait until each can sample."""
        assert not self._workers, "the pool is running"
        self._log_dir.mkdir(parents=True, exist_ok=True)
        self._workers = [
            _Worker(number, self._new_actor(number)) for number in range(self.config.num_workers)
        ]
        starting = [worker.actor.start.remote(self._weights) for worker in self._workers]
        try:
            for worker, info in zip(
                self._workers, ray.get(starting, timeout=self.config.start_timeout_s), strict=True
            ):
                worker.info = info
        except BaseException:
            self.shutdown()
            raise

    def shutdown(self) -> None:
        """Stop every worker of this pool; harmless when called again."""
        workers, self._workers = self._workers, []
        stopping = [worker.actor.stop.remote() for worker in workers if not worker.is_starting]
        if stopping:
            ray.wait(stopping, num_returns=len(stopping), timeout=_STOP_TIMEOUT_S)
        for worker in workers:
            ray.kill(worker.actor)

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
        return [worker.info for worker in self._workers if worker.info is not None]

    @property
    def num_inference_ranks(self) -> int:
        """How many vLLM worker processes a weight-transfer group has on this side."""
        return self.config.num_workers * self.config.tensor_parallel_size

    # Sampling

    def sample(self, prompts: Sequence[Prompt], plan: SamplingPlan) -> Iterator[RolloutGroup]:
        """Yield each prompt's group as it finishes, in no fixed order; `stats` describes the call afterwards.

        Prompts that do not fit are dropped by rule and listed in `stats.dropped`. Giving up the iterator half-way
        cancels what is left.
        """
        if not self._workers:
            raise SamplerError("the pool is not running: call start() first")
        if self._sampling:
            raise SamplerError("another sample() of this pool is under way")
        if repeated := _repeated([prompt.prompt_id for prompt in prompts]):
            raise ValueError(f"prompt {repeated} is given twice; raise num_samples instead")
        return self._sample(prompts, plan)

    def _sample(self, prompts: Sequence[Prompt], plan: SamplingPlan) -> Iterator[RolloutGroup]:
        self._sampling = True
        waiting = deque(prompts)
        tally, restarts_before = SampleTally(), self.num_restarts
        try:
            while waiting or any(worker.owed for worker in self._workers):
                self._hand_out(waiting, plan)
                for worker in self._ready_workers():
                    yield from self._take_in(worker, waiting, plan, tally)
        finally:
            self._cancel_unfinished()
            self._sampling = False
            tally.num_restarts = self.num_restarts - restarts_before
            self.stats = tally.stats()

    def _hand_out(self, waiting: deque[Prompt], plan: SamplingPlan) -> None:
        """Give idle workers prompts and a call that returns when a group is finished."""
        serving = [worker for worker in self._workers if not worker.is_starting]
        idle = [worker for worker in serving if worker.call is None]
        num_waiting = sum(plan.num_samples_for(prompt) for prompt in waiting) if idle else 0
        num_owed = sum(worker.num_owed_rollouts for worker in serving)
        # At the end of a call nobody takes more than an even share of what is left.
        share = -(-(num_waiting + num_owed) // max(len(serving), 1))
        for worker in idle:
            batch = []
            limit = min(self.config.in_flight_limit, share)
            while waiting and (not worker.owed or worker.num_owed_rollouts < limit):
                prompt = waiting.popleft()
                worker.owed[prompt.prompt_id] = prompt
                worker.num_owed_rollouts += plan.num_samples_for(prompt)
                batch.append(prompt)
            if worker.owed:
                worker.call = worker.actor.exchange.remote(batch, plan)

    def _ready_workers(self) -> list[_Worker]:
        calls = {worker.call: worker for worker in self._workers if worker.call is not None}
        ready, _ = ray.wait(list(calls), num_returns=1, fetch_local=True)
        if len(calls) > 1:
            ready, _ = ray.wait(list(calls), num_returns=len(calls), timeout=0)
        return [calls[call] for call in ready]

    def _take_in(
        self, worker: _Worker, waiting: deque[Prompt], plan: SamplingPlan, tally: SampleTally
    ) -> Iterator[RolloutGroup]:
        call, worker.call = worker.call, None
        try:
            if worker.is_starting:
                worker.info = ray.get(call)
                return
            results: WorkerResults = ray.get(call)
        except RayActorError as death:
            self._replace(worker, waiting, death)
            return
        for dropped in results.dropped:
            prompt = worker.owed.pop(dropped.prompt_id)
            worker.num_owed_rollouts -= plan.num_samples_for(prompt)
            tally.dropped.append(dropped)
        groups = []
        for rollouts in results.groups:
            prompt = worker.owed.pop(rollouts[0].prompt_id)
            worker.num_owed_rollouts -= len(rollouts)
            groups.append(RolloutGroup(prompt, rollouts))
        # New prompts leave before the caller's work on these groups begins.
        self._hand_out(waiting, plan)
        for group in groups:
            tally.count(group)
            yield group

    def _cancel_unfinished(self) -> None:
        """After a call that was given up: leave every worker idle and owing nothing."""
        for worker in self._workers:
            if worker.owed and not worker.is_starting:
                try:
                    ray.get(worker.actor.cancel.remote())
                    if worker.call is not None:
                        ray.get(worker.call)
                        ray.get(worker.actor.cancel.remote())  # what that call still handed over
                except RayActorError as death:
                    self._replace(worker, deque(), death)
                    continue
                worker.call = None
            worker.owed.clear()
            worker.num_owed_rollouts = 0

    def prompt_lengths(self, prompts: Sequence[Prompt]) -> list[PromptLength]:
        """Token counts as the engine sees the prompts, pictures included; for preflight and curation."""
        (worker, *_) = self._workers
        return ray.get(worker.actor.lengths.remote(list(prompts)))

    # Weights

    def weight_sync_client(self, policy_version: int) -> PoolWeightSyncClient:
        """What the trainer's weight-transfer engine talks to for the sync that makes `policy_version`."""
        if self._sampling:
            raise SamplerError("weights cannot be exchanged while sample() is under way")
        self._wait_for_starting()
        actors = [worker.actor for worker in self._workers]
        return PoolWeightSyncClient(actors, policy_version, self.config.tensor_parallel_size)

    def commit_weights(self, policy_version: int) -> None:
        """After the trainer sent weights: check that every worker serves `policy_version`, replace the dead.

        Raises SamplerError when a living worker serves another version.
        """
        states: dict[int, WeightState] = {}
        dead: list[_Worker] = []
        for worker in self._workers:
            try:
                states[worker.number] = ray.get(worker.actor.weight_state.remote())
            except RayActorError:
                dead.append(worker)
        for number, state in states.items():
            if state.policy_version != policy_version:
                raise SamplerError(
                    f"rollout worker {number} serves policy version {state.policy_version}, not {policy_version}: "
                    "the weight sync did not take"
                )
        if not states:
            raise SamplerError("every rollout worker died during the weight sync")
        self._weights = next(iter(states.values()))
        for worker in dead:
            self._replace(worker, deque(), None)
        self._wait_for_starting()

    # Workers that die

    def _replace(self, worker: _Worker, waiting: deque[Prompt], death: BaseException | None) -> None:
        """Put the worker's unfinished prompts back in front and start another in its place."""
        waiting.extendleft(reversed(worker.owed.values()))
        worker.owed.clear()
        worker.num_owed_rollouts = 0
        self.num_restarts += 1
        if self.num_restarts > self.config.max_restarts:
            raise SamplerError(
                f"rollout worker {worker.number} died and max_restarts={self.config.max_restarts} is used up; "
                f"its log is {self._log_path(worker.number)}"
            ) from death
        if self._weights.update_info is not None and self.config.weight_transfer_backend != "shared_memory":
            raise SamplerError(
                f"rollout worker {worker.number} died; the {self.config.weight_transfer_backend} backend cannot "
                "bring a new one to the current weights: continue from the last checkpoint, or use shared_memory"
            ) from death
        worker.actor = self._new_actor(worker.number)
        worker.info = None
        worker.call = worker.actor.start.remote(self._weights)

    def _wait_for_starting(self) -> None:
        for worker in self._workers:
            while worker.is_starting:
                call, worker.call = worker.call, None
                try:
                    worker.info = ray.get(call)
                except RayActorError as death:
                    self._replace(worker, deque(), death)

    def _new_actor(self, number: int) -> Any:
        options: dict[str, Any] = {
            "num_cpus": self.config.num_cpus_per_worker,
            "num_gpus": self.config.num_gpus_per_worker,
            "max_concurrency": 4,
            "runtime_env": {"env_vars": engine_environment(self.config)},
        }
        actor_class = ray.remote(RolloutWorker).options(**options)
        return actor_class.remote(self._model_path, self.config, str(self._log_path(number)))

    def _log_path(self, number: int) -> Path:
        return (self._log_dir / f"rollout-worker-{number}.log").absolute()


def _repeated(ids: Sequence[str]) -> str | None:
    seen: set[str] = set()
    for each in ids:
        if each in seen:
            return each
        seen.add(each)
    return None
