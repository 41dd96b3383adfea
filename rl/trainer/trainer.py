"""The controller's side of the trainer: one object, however many ranks there are."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray.exceptions import RayTaskError
from verl.single_controller.ray import RayClassWithInitArgs, RayResourcePool, RayWorkerGroup

from rl.algorithm.losses import LossSpec
from rl.data.batch import Batch
from rl.data.failed_batch import require_finite
from rl.data.token_sequence import Floats
from rl.recipe.trainer_config import ModelConfig, TrainerConfig
from rl.trainer.micro_batch import plan_micro_batches
from rl.trainer.rank import TrainerRank
from rl.trainer.rank_work import RankStep, RankWork, TrainerSetup
from sampler.vision_input import VisionInput

CLOSE_TIMEOUT_S = 5.0
COUNTED_PER_STEP = ("loss",)  # already normalised; every other ``*_sum`` is divided by the step's loss tokens


class Trainer:
    """verl's ``RayWorkerGroup`` of DeepSpeed ranks. Batches go in whole; cutting and joining happen here."""

    def __init__(
        self,
        config: TrainerConfig,
        model: ModelConfig,
        model_path: Path,
        log_dir: Path,
        *,
        device: str = "cpu",
    ) -> None:
        self.config = config
        self.log_dir = log_dir
        self._pool = RayResourcePool(
            process_on_nodes=[self.config.ranks_per_node] * self.config.num_nodes,
            use_gpu=device != "cpu",
            max_colocate_count=1,
        )
        self._ranks = RayWorkerGroup(
            resource_pool=self._pool,
            ray_cls_with_init=RayClassWithInitArgs(ray.remote(TrainerRank)),
            device_name=device,
            worker_env=rank_environment(self.config.threads_per_rank, self.config.ranks_per_node, device),
        )
        self.model_sizes: dict[str, Any] = self._call(
            "build", TrainerSetup(str(model_path), model, config, str(log_dir), device)
        )[0]

    @property
    def num_ranks(self) -> int:
        return self.config.num_ranks

    def logprobs(
        self, batch: Batch, *, temperature: float = 1.0, of_reference: bool = False
    ) -> tuple[Floats, Floats]:
        """Log-probabilities and entropies (nats) of the tokens learnt from, flat, in the batch's order."""
        plan = self._plan(batch)
        work = [self._work(batch, [rank_plan]) for rank_plan in plan]
        outputs = self._call("logprobs", work, [temperature] * len(work), [of_reference] * len(work))
        logprobs = _in_batch_order(batch, plan, [one for one, _ in outputs])
        return logprobs, _in_batch_order(batch, plan, [one for _, one in outputs])

    def values(self, batch: Batch) -> Floats:
        """The critic's values of the states before the tokens learnt from, flat, in the batch's order."""
        plan = self._plan(batch)
        return _in_batch_order(
            batch, plan, self._call("values", [self._work(batch, [rank_plan]) for rank_plan in plan])
        )

    def update(
        self, steps: Sequence[Batch], rates: Sequence[float], loss: LossSpec
    ) -> list[dict[str, float]]:
        """One optimizer step a batch, in order. Returns each step's metrics, averaged over its loss tokens.

        Raises: HoneError where a loss or a gradient norm is no number, whatever is being trained.
        """
        plans = [self._plan(batch) for batch in steps]
        work = []
        for rank in range(self.num_ranks):
            parts = [
                self._work(batch, [plan[rank]], rate)
                for batch, plan, rate in zip(steps, plans, rates, strict=True)
            ]
            vision_inputs: dict[str, tuple[VisionInput, ...]] = {}
            for part in parts:
                vision_inputs.update(part.vision_inputs)
            filler = next((part.filler for part in parts if part.filler is not None), None)
            work.append(RankWork([part.steps[0] for part in parts], vision_inputs, filler))
        outputs = self._call("update", work, [loss] * len(work))
        joined = [_joined([rank_steps[i] for rank_steps in outputs], batch) for i, batch in enumerate(steps)]
        require_finite(joined, steps, self.log_dir, f"{loss.name} loss")
        return joined

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

    def export_critic(self, directory: Path) -> None:
        """The critic's weights likewise, and its value head."""
        self._call("export_critic", str(directory))

    def load_reference(self, directory: Path) -> None:
        """Hold a frozen copy of a checkpoint as the reference policy of the KL term."""
        self._call("load_reference", str(directory))

    def send_weights(self, backend: str, client: Any, num_inference_ranks: int) -> float:
        """Send the weights to the sampler; seconds of the slowest rank."""
        return float(max(self._call("send_weights", backend, client, num_inference_ranks)))

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

    def _plan(self, batch: Batch) -> list[list[list[int]]]:
        return plan_micro_batches(
            batch,
            num_ranks=self.num_ranks,
            micro_batch_tokens=self.config.micro_batch_tokens,
            packed=self.config.layout == "packed",
        )

    def _work(self, batch: Batch, plan: list[list[list[int]]], rate: float = 0.0) -> RankWork:
        """A rank's slices of one batch; pictures and videos travel once, beside them."""
        bare = dataclasses.replace(batch, vision_inputs={})
        vision_inputs: dict[str, tuple[VisionInput, ...]] = {}
        indices = [index for step in plan for micro_batch in step for index in micro_batch]
        empty = any(not micro_batch for step in plan for micro_batch in step)
        for index in indices if not empty else [0, *indices]:
            prompt_id = batch.prompt_ids[index]
            if prompt_id in batch.vision_inputs:
                vision_inputs[prompt_id] = batch.vision_inputs[prompt_id]
        steps = [
            RankStep([bare.select(part) if part else None for part in step], batch.counts, rate)
            for step in plan
        ]
        return RankWork(steps, vision_inputs, bare.select([0]) if empty else None)


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


def _in_batch_order(
    batch: Batch, plan: Sequence[Sequence[Sequence[int]]], outputs: Sequence[Sequence[Floats]]
) -> Floats:
    """Flat columns of each rank's micro-batches as one column in the order of the batch."""
    parts: list[Any] = [None] * len(batch)
    loss_lengths = batch.loss_lengths
    for rank_plan, rank_outputs in zip(plan, outputs, strict=True):
        filled = [micro_batch for micro_batch in rank_plan if micro_batch]
        for micro_batch, column in zip(filled, rank_outputs, strict=True):
            ends = np.cumsum(loss_lengths[micro_batch])[:-1]
            for index, part in zip(micro_batch, np.split(column, ends), strict=True):
                parts[index] = part
    return np.concatenate(parts)


def _joined(rank_metrics: Sequence[Mapping[str, float]], batch: Batch) -> dict[str, float]:
    """Sums over ranks, divided by the step's loss tokens; norms and seconds are the same everywhere or the slowest."""
    joined: dict[str, float] = {}
    num_loss_tokens = max(1, batch.counts.num_loss_tokens)
    for name in sorted({name for metrics in rank_metrics for name in metrics}):
        values = [metrics[name] for metrics in rank_metrics if name in metrics]
        if name.endswith("_sum"):
            joined[name.removesuffix("_sum")] = sum(values) / num_loss_tokens
        else:
            joined[name] = sum(values) if name in COUNTED_PER_STEP else max(values)
    return joined
