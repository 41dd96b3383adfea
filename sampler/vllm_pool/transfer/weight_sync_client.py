"""The pool's side of vLLM's weight-sync protocol: one call from the trainer reaches every rollout worker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ray.exceptions import RayActorError

from sampler.vllm_pool.remote_result import remote_result
from sampler.vllm_pool.transfer.weight_segment import WeightTransferError


class PoolWeightSyncClient:
    """A `vllm.distributed.weight_transfer.VLLMWeightSyncClient` over the workers of a pool, for one sync.

    Made by `SamplerPool.weight_sync_client`, sent to the trainer ranks (it pickles), used there by a
    `TrainerWeightTransferEngine`. A worker that dies under way is left out where a backend can do without it;
    `SamplerPool.commit_weights` then replaces it. An error that a living worker raises is raised here, to the trainer.
    """

    def __init__(
        self,
        workers: Sequence[Any],
        policy_version: int,
        num_ranks_per_worker: int,
        *,
        needs_all: bool,
    ) -> None:
        """With ``needs_all`` the first death ends the sync: a broadcast to a process group waits for each of its ranks,
        for ever. A death in the midst of the broadcast itself is not seen: the trainer is in it."""
        self.policy_version = policy_version
        self._needs_all = needs_all
        self._workers = list(workers)
        self._num_ranks_per_worker = num_ranks_per_worker

    def init_weight_transfer_engine(self, init_info: dict[str, Any]) -> None:
        """To every worker; under NCCL each with the offset of its ranks in the process group."""
        calls = []
        for number, worker in enumerate(self._workers):
            own = dict(init_info)
            if "rank_offset" in own:  # NCCL: the replicas follow each other in one process group
                own["rank_offset"] += number * self._num_ranks_per_worker
            calls.append(worker.init_weight_transfer_engine.remote(own))
        self._wait(calls)

    def start_weight_update(self) -> None:
        self._wait([worker.start_weight_update.remote() for worker in self._workers])

    def update_weights(self, update_info: Any) -> None:
        self._wait([worker.update_weights.remote(update_info) for worker in self._workers])

    def finish_weight_update(self, weight_version: str | None = None) -> None:
        """``weight_version`` is vLLM's name for the policy version; the client's own where it is not given."""
        version = self.policy_version if weight_version is None else int(weight_version)
        self._wait([worker.finish_weight_update.remote(version) for worker in self._workers])

    def _wait(self, calls: list[Any]) -> None:
        alive = []
        for worker, call in zip(self._workers, calls, strict=True):
            try:
                remote_result(call)
                alive.append(worker)
            except RayActorError as death:
                if self._needs_all:
                    raise WeightTransferError(
                        "a rollout worker died during the weight sync, and this backend cannot do without it"
                    ) from death
        self._workers = alive
        if not alive:
            raise WeightTransferError("every rollout worker died during the weight sync")
