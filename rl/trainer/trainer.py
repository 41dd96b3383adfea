"""The controller's side of the trainer: one object, however many ranks there are."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray.exceptions import RayTaskError
from verl.single_controller.ray import RayClassWithInitArgs, RayResourcePool, RayWorkerGroup
from verl.single_controller.ray.base import sort_placement_group_by_node_ip

from rl.algorithm.loss.losses import LossSpec
from rl.data.batch import Batch
from rl.data.token_sequence import Floats
from rl.recipe.trainer_config import ModelConfig, TrainerConfig
from rl.run.ray_session import PORTS, free_port
from rl.trainer.held_batch import HeldBatch
from rl.trainer.rank import TrainerRank
from rl.trainer.rank_work import TrainerSetup

CLOSE_TIMEOUT_S = 5.0


class Trainer:
    """verl's ``RayWorkerGroup`` of DeepSpeed ranks. Batches go in whole; ``HeldBatch`` cuts and joins."""

    def __init__(
        self,
        config: TrainerConfig,
        model: ModelConfig,
        model_path: Path,
        log_dir: Path,
        *,
        device: str = "cpu",
        reserved: Sequence[Any] = (),
    ) -> None:
        """``reserved``: Ray's placement groups for the ranks, one a node; without them they are made here."""
        self.config = config
        self.log_dir = log_dir
        self._pool = RayResourcePool(
            process_on_nodes=[self.config.ranks_per_node] * self.config.num_nodes,
            use_gpu=device != "cpu",
            max_colocate_count=1,
        )
        if reserved:
            self._pool.pgs = sort_placement_group_by_node_ip(list(reserved))
        self._ranks = RankGroup(
            resource_pool=self._pool,
            ray_cls_with_init=RayClassWithInitArgs(ray.remote(TrainerRank)),
            device_name=device,
            worker_env=rank_environment(self.config.threads_per_rank, self.config.ranks_per_node, device),
        )
        self.model_sizes: dict[str, Any] = self._call(
            "build", TrainerSetup(str(model_path), model, config, str(log_dir), device)
        )[0]

    def hold(self, batch: Batch, steps: Sequence[Sequence[int]] | None = None) -> HeldBatch:
        """A batch to be kept on the ranks for several calls; ``steps`` are the indices of each optimizer step: by
        default all in one."""
        steps = [range(len(batch))] if steps is None else steps
        return HeldBatch(batch, steps, self.config, self._call, self.log_dir)

    def logprobs(
        self, batch: Batch, *, temperature: float = 1.0, of: Sequence[str] | None = None
    ) -> tuple[Floats, Floats]:
        """``HeldBatch.logprobs`` of a batch that nothing else is asked of."""
        return self.hold(batch).logprobs(temperature, of=of)

    def values(self, batch: Batch) -> Floats:
        """``HeldBatch.values`` likewise."""
        return self.hold(batch).values()

    def update(
        self,
        steps: Sequence[Batch],
        rates: Sequence[float],
        loss: LossSpec,
        teachers: Sequence[str] | None = None,
    ) -> list[dict[str, float]]:
        """``HeldBatch.update`` likewise: one optimizer step a batch, in order."""
        batch = Batch.joined(steps)
        ends = np.cumsum([len(step) for step in steps])
        held = self.hold(batch, np.split(np.arange(len(batch)), ends[:-1]))
        return held.update(batch, rates, loss, teachers)

    def reset_optimizer(self) -> None:
        """Forget moments and step counts of policy and critic; weights stay."""
        self._call("reset_optimizer")

    def save_checkpoint(self, directory: Path) -> None:
        """What going on inside a stage needs: weights and optimizer of policy and critic."""
        self._call("save_checkpoint", str(directory))

    def load_checkpoint(self, directory: Path) -> None:
        """Back to what ``save_checkpoint`` wrote. Raises: RuntimeError where it cannot be read."""
        self._call("load_checkpoint", str(directory))

    def load_weights(self, hub_directory: Path) -> None:
        """Of a checkpoint in the hub layout, into the policy."""
        self._call("load_weights", str(hub_directory))

    def export(self, directory: Path) -> None:
        """The policy's weights alone, in the hub layout; ``checkpoint.export_policy`` adds the files beside them."""
        self._call("export", str(directory))

    def load_critic(self, hub_directory: Path) -> None:
        """Start the critic from a checkpoint's backbone, and its value head where it has one."""
        self._call("load_critic", str(hub_directory))

    def drop_critic(self) -> None:
        """Hold no critic from now on: it is neither in memory nor in a checkpoint."""
        self._call("drop_critic")

    def export_critic(self, directory: Path) -> None:
        """The critic's weights likewise, and its value head."""
        self._call("export_critic", str(directory))

    def load_frozen(self, directories: Collection[str]) -> None:
        """Hold a frozen copy of each of these checkpoints, a reference or teachers, and of no others: whole on every
        rank, under ZeRO-3 parted among them. They are named by their directories."""
        self._call("load_frozen", tuple(directories))

    def send_weights(self, backend: str, client: Any, num_inference_ranks: int) -> float:
        """Send the weights to the sampler; seconds of the slowest rank."""
        return float(max(self._call("send_weights", backend, client, num_inference_ranks)))

    def weight_checksums(self) -> dict[str, int]:
        """Of the policy's tensors by hub name, as ``SamplerPool.weight_checksums`` has them of the sampler's."""
        found: dict[str, int] = self._call("weight_checksums")[0]
        return found

    def _call(self, method: str, *arguments: Any) -> Any:
        """A method on all ranks. Where one failed because another died, the death is the error that is raised."""
        try:
            return getattr(self._ranks, method)(*arguments)
        except RayTaskError:
            calls = [worker.__ray_ready__.remote() for worker in self._ranks.workers]
            answered, _ = ray.wait(calls, num_returns=len(calls), timeout=CLOSE_TIMEOUT_S)
            ray.get(answered)
            raise

    def shutdown(self) -> None:
        """End the ranks and give back what Ray reserved for them; nothing is saved. A rank that is dead or hangs does
        not hold this up."""
        closing = [worker.close.remote() for worker in self._ranks.workers]
        ray.wait(closing, num_returns=len(closing), timeout=CLOSE_TIMEOUT_S)
        for worker in self._ranks.workers:
            ray.kill(worker)
        for group in self._pool.pgs or ():
            ray.util.remove_placement_group(group)


class RankGroup(RayWorkerGroup):
    """Says where its ranks meet: verl 0.9.1 forgets the address it is given, and asks for a port among those of
    outgoing connections, one of which may take it before the first rank listens."""

    def _get_master_addr_port(self, pg: Any, bundle_index: int = 0, master_port_range: Any = None) -> None:
        if len(ray.nodes()) > 1:
            super()._get_master_addr_port(pg, bundle_index, [free_port(), PORTS.stop])
            return
        # On one machine no process must be asked: it would import all of verl to answer, 8 s of CPU time.
        self._master_addr, self._master_port = "127.0.0.1", str(free_port())


def rank_environment(threads: int, ranks_per_node: int, device: str) -> dict[str, str]:
    """Environment variables of a rank's process; values the user set win."""
    environment = {
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",
        "KMP_BLOCKTIME": "0",
        "LOCAL_SIZE": str(ranks_per_node),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    if device == "cpu":
        environment["DS_ACCELERATOR"] = "cpu"
    return {name: os.environ.get(name, value) for name, value in environment.items()}
