"""Workers that die or never start, without any: what the pool and its weight syncs do then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ray.exceptions import RayActorError

from sampler.rollout import SamplingPlan
from sampler.vllm_pool import pool as pool_module
from sampler.vllm_pool.pool import SamplerError, SamplerPool
from sampler.vllm_pool.sampler_config import SamplerConfig
from sampler.vllm_pool.transfer import weight_sync_client
from sampler.vllm_pool.transfer.weight_segment import WeightTransferError
from sampler.vllm_pool.transfer.weight_sync_client import PoolWeightSyncClient
from sampler.vllm_pool.worker import WeightState, WorkerInfo
from sampler.vllm_pool.worker_slot import WorkerSlot


class Worker:
    """A handle whose methods' `remote` gives back the worker's own name, which stands for the call."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, _: str) -> Any:
        worker = self

        class Method:
            def remote(self, *_: object) -> str:
                return worker.name

        return Method()


@pytest.fixture
def one_dies(monkeypatch: pytest.MonkeyPatch) -> list[Worker]:
    def result(call: str, *_: object) -> None:
        if call == "dead":
            raise RayActorError

    monkeypatch.setattr(weight_sync_client, "remote_result", result)
    return [Worker("alive"), Worker("dead")]


def test_a_broadcast_to_a_group_that_has_lost_a_rank_is_not_begun(one_dies: list[Worker]) -> None:
    """It would wait for it for ever."""
    with pytest.raises(WeightTransferError, match="a rollout worker died"):
        PoolWeightSyncClient(one_dies, 3, 1, needs_all=True).start_weight_update()


def test_through_shared_memory_the_living_go_on(one_dies: list[Worker]) -> None:
    client = PoolWeightSyncClient(one_dies, 3, 1, needs_all=False)
    client.start_weight_update()
    client.update_weights({})
    with pytest.raises(WeightTransferError, match="every rollout worker died"):
        PoolWeightSyncClient(one_dies[1:], 3, 1, needs_all=False).start_weight_update()


def made_pool(tmp_path: Path, **settings: Any) -> SamplerPool:
    made = SamplerPool("checkpoint", SamplerConfig(**settings), tmp_path)
    made._slots = [WorkerSlot(0, Worker("new"))]
    return made


def test_workers_that_never_start_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a node is lost with all of its workers: Ray looks for their GPUs as long as it is let."""
    made, asked = made_pool(tmp_path, start_timeout_s=7), list[Any]()

    def wait(calls: list[Any], *, num_returns: int, timeout: float | None) -> Any:
        asked.append(timeout)
        return [], calls

    monkeypatch.setattr(pool_module.ray, "wait", wait)
    made._slots[0].call = "start"
    with pytest.raises(SamplerError, match=r"sampler\.start_timeout_s=7"):
        made._answered()
    assert asked == [7]


def test_while_somebody_samples_nobody_is_hurried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, asked = made_pool(tmp_path), list[Any]()

    def wait(calls: list[Any], *, num_returns: int, timeout: float | None) -> Any:
        asked.append(timeout)
        return calls, []

    monkeypatch.setattr(pool_module.ray, "wait", wait)
    made._slots[0].call, made._slots[0].info = "exchange", WorkerInfo.__new__(WorkerInfo)
    assert made._answered() == made._slots and asked == [None, 0]


def test_who_dies_when_the_trainer_is_gone_comes_back_from_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The segment that the last sync left went with the trainer."""
    made, begun = made_pool(tmp_path), list[Any]()
    made._weights = WeightState(3, {}, {"path": "/dev/shm/gone"})
    monkeypatch.setattr(made, "_new_actor", lambda _: made._model_path)
    monkeypatch.setattr(WorkerSlot, "begin", lambda slot, actor, weights: begun.append((actor, weights)))
    made.restart_from(tmp_path / "policy")
    made._replace(made._slots[0])
    assert begun == [(str(tmp_path / "policy"), WeightState(3))] and made.policy_version == 3


def test_a_plan_is_given_to_nobody_twice(tmp_path: Path) -> None:
    made = made_pool(tmp_path)
    made._sampling = True
    with pytest.raises(SamplerError, match="under way"):
        made.sample([], SamplingPlan(num_samples=1, max_response_tokens=1, run_seed=0, step=0))
    with pytest.raises(SamplerError, match="under way"):
        made.weight_sync_client(1)


def test_no_worker_is_sent_to_a_meeting_that_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under NCCL a new worker would wait for the others, which have met before; through shared memory it reads."""
    begun: list[int] = []
    for backend, num_revived in (("nccl", 0), ("shared_memory", 1)):
        settings = {"device": "cuda"} if backend == "nccl" else {}
        made = made_pool(tmp_path, weight_transfer_backend=backend, **settings)
        monkeypatch.setattr(made, "wait_until_ready", lambda: None)
        monkeypatch.setattr(made, "_living_and_dead", lambda: ({}, []))
        made.weight_sync_client(1)  # the first: they meet, and a worker dies before the sync is over
        monkeypatch.undo()
        monkeypatch.setattr(made, "_living_and_dead", lambda made=made: ({}, made._slots))
        monkeypatch.setattr(made, "_replace", lambda slot, *_: begun.append(slot.number))
        assert made.revive() == num_revived
        monkeypatch.undo()
        if backend == "nccl":
            with pytest.raises(SamplerError, match="cannot bring a new one to the current weights"):
                made._replace(made._slots[0])
    assert begun == [0]
