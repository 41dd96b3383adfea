"""The DeepSpeed half of a trainer rank: micro-batches in, log-probabilities, optimizer steps and weights out."""

from __future__ import annotations

import gc
import os
import time
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import deepspeed
import torch
from transformers import AutoProcessor

from reward_models.value_head import save_value_head
from rl.algorithm.loss.losses import CRITIC_LOSSES, LossInputs, LossSpec, compute_loss
from rl.data.batch import Batch, StepCounts
from rl.data.token_sequence import Floats
from rl.families.family import load_family
from rl.trainer.collator import Collator
from rl.trainer.models.critic_model import CriticModel
from rl.trainer.models.deepspeed_model import DeepSpeedModel, deepspeed_config
from rl.trainer.models.frozen_policy import FrozenPolicy
from rl.trainer.models.hub_weights import open_transfer
from rl.trainer.models.partitioned import partitioned_model
from rl.trainer.models.policy_model import MicroBatch, PolicyModel
from rl.trainer.rank_work import HeldPart, RankWork, TrainerSetup
from sampler.vllm_pool.transfer.weight_segment import tensor_checksum


class RankModels:
    """One rank's policy, and its critic where there is one: DeepSpeed engines that share collator and pictures.

    Every method is called on all ranks at once.
    """

    def __init__(self, setup: TrainerSetup) -> None:
        """Load the policy and start DeepSpeed. MASTER_ADDR, RANK and so on are in the environment, as
        torch.distributed wants them."""
        torch.set_num_threads(setup.trainer.threads_per_rank)
        self.setup = setup
        if setup.device == "cpu":
            self.device = torch.device("cpu")
            _leave_out_shared_memory_op()
        else:
            self.device = torch.device(setup.device, int(os.environ["LOCAL_RANK"]))
        deepspeed.init_distributed(
            dist_backend="gloo" if setup.device == "cpu" else "nccl", auto_mpi_discovery=False, verbose=False
        )
        self.family = load_family(setup.model.family)
        processor = AutoProcessor.from_pretrained(setup.model_path)
        model = self._load(setup.model_path)
        self.forbidden = self.family.forbidden_token_ids(processor.tokenizer, model.config)
        policy = self._policy(model)
        self.policy = DeepSpeedModel(policy, self.family, setup)
        self.critic: DeepSpeedModel | None = None
        self.frozen: dict[str, FrozenPolicy] = {}
        self.transfer: Any = None
        self.held = HeldPart()
        self.collate = Collator(
            self.family,
            processor,
            placeholder_ids=self.family.placeholder_ids(policy.model.config),
            pad_token_id=processor.tokenizer.pad_token_id,
            packed=setup.trainer.layout == "packed",
            always_picture=self.policy.is_partitioned or self.policy.layout.num_ranks > 1,
            cache_bytes=setup.trainer.image_cache_mib << 20,
            device=self.device,
        )

    @property
    def model_sizes(self) -> dict[str, int]:
        """Sizes of the policy."""
        return self.policy.model_sizes

    # --- the policy -------------------------------------------------------------------------------------

    def logprobs(self, work: RankWork, temperature: float) -> tuple[list[Floats], list[Floats]]:
        """Log-probabilities and entropies of the tokens learnt from, flat, one pair of arrays a micro-batch."""
        step = work.steps[0]
        self.held.receive(work)
        logprobs, entropies = [], []
        with torch.no_grad():
            for indices, frozen in zip(step.micro_batches, step.frozen, strict=True):
                model = self.frozen[frozen] if frozen else self.policy
                values, entropy, _ = model(self._tensors(indices), temperature, True)
                if indices:
                    logprobs.append(values.cpu().numpy())
                    entropies.append(entropy.cpu().numpy())
        return logprobs, entropies

    def load_weights(self, hub_directory: str) -> None:
        """Weights of a hub-layout checkpoint into the policy."""
        self.policy.load_weights(Path(hub_directory))

    def export(self, directory: str) -> None:
        """The policy in the hub layout, written by rank 0."""
        self.policy.export(directory)

    def load_frozen(self, directories: Collection[str]) -> None:
        """Hold frozen copies of these checkpoints and of no others."""
        for name in self.frozen.keys() - set(directories):
            self.frozen.pop(name).close()
        for name in directories:
            if name not in self.frozen:
                module = self._policy(self._load(name))
                self.frozen[name] = FrozenPolicy(module, self.family, self.setup, self.device)

    def send_weights(self, backend: str, client: Any, num_inference_ranks: int) -> float:
        """Send the current weights to every sampler worker behind ``client``. Returns the seconds it took."""
        start = time.perf_counter()
        if self.transfer is None:
            self.transfer = open_transfer(
                backend,
                rank=self.policy.rank,
                client=client,
                source=self.policy.hub_weights,
                num_inference_ranks=num_inference_ranks,
            )
        self.transfer.client = client
        self.transfer.send_weights()
        return time.perf_counter() - start

    def weight_checksums(self) -> dict[str, int]:
        """Of the policy's tensors by hub name, on rank 0; the other ranks take part in the gathering."""
        first = self.policy.rank == 0
        return {name: tensor_checksum(one) if first else 0 for name, one in self.policy.hub_weights}

    # --- the critic -------------------------------------------------------------------------------------

    def load_critic(self, hub_directory: str) -> dict[str, int]:
        """A critic with the backbone of a checkpoint (a policy's, a reward model's or a critic's own) and its value
        head where it has one; made where there is none, else refilled. Returns its sizes."""
        directory = Path(hub_directory)
        if self.critic is None:
            critic = CriticModel(self.family, self._load(hub_directory))
            critic.load_head(directory)
            self.critic = DeepSpeedModel(critic, self.family, self.setup)
        else:
            self.critic.load_weights(directory)
            self.critic.reset_optimizer()
        return self.critic.model_sizes

    def drop_critic(self) -> None:
        """Give back the memory of the critic, where there is one: weights, gradients and moments."""
        if self.critic is not None:
            self.critic.engine.destroy()  # else DeepSpeed's hooks and tables keep it
            self.critic = None
            gc.collect()
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def values(self, work: RankWork) -> list[Floats]:
        """Values of the states before the tokens learnt from, flat, one array a micro-batch."""
        assert self.critic is not None, "load_critic comes before values"
        self.held.receive(work)
        values = []
        with torch.no_grad():
            for indices in work.steps[0].micro_batches:
                output = self.critic(self._tensors(indices))
                if indices:
                    values.append(output.cpu().numpy())
        return values

    def export_critic(self, directory: str) -> None:
        """The critic's backbone in the hub layout and its value head beside it, written by rank 0."""
        assert self.critic is not None
        self.critic.export(directory, with_index=True)  # without one vLLM takes the head for the backbone's
        head = self.critic.gathered(self.critic.module.value_head)
        if self.critic.rank == 0:
            save_value_head(Path(directory), head)

    # --- both -------------------------------------------------------------------------------------------

    def update(self, work: RankWork, loss: LossSpec) -> list[dict[str, float]]:
        """Take the optimizer steps in ``work``: the critic's for a loss of its own, else the policy's. Returns this
        rank's metric sums for each step."""
        model = self.critic if loss.name in CRITIC_LOSSES else self.policy
        assert model is not None, "load_critic comes before a loss of the critic's"
        self.held.receive(work)
        model.engine.train()
        collated = self._collated([indices for step in work.steps for indices in step.micro_batches])
        return [
            model.step(
                [
                    partial(self._loss, indices, frozen, step.counts, loss, collated)
                    for indices, frozen in zip(step.micro_batches, step.frozen, strict=True)
                ],
                step.rate,
            )
            for step in work.steps
        ]

    def reset_optimizer(self) -> None:
        """Forget moments and step counts: a stage starts from weights alone."""
        for model in self._models().values():
            model.reset_optimizer()

    def save_checkpoint(self, directory: str) -> None:
        """What going on inside a stage needs, of policy and critic."""
        for tag, model in self._models().items():
            model.save_checkpoint(directory, tag)

    def load_checkpoint(self, directory: str) -> None:
        """Back to what ``save_checkpoint`` wrote. Raises: RuntimeError where it cannot be read."""
        for tag, model in self._models().items():
            model.load_checkpoint(directory, tag)

    def close(self) -> None:
        """Remove the weights that the last sync left in shared memory."""
        if self.transfer is not None:
            self.transfer.shutdown()

    def _models(self) -> dict[str, DeepSpeedModel]:
        return {"state": self.policy} | ({"critic": self.critic} if self.critic is not None else {})

    def _loss(
        self,
        indices: Sequence[int],
        frozen: str,
        counts: StepCounts,
        loss: LossSpec,
        collated: Iterator[tuple[Batch, MicroBatch]],
    ) -> tuple[torch.Tensor, dict[str, float]]:
        micro_batch, tensors = next(collated)
        of_critic, entropy, teacher_kl = loss.name in CRITIC_LOSSES, None, None
        if of_critic:
            assert self.critic is not None
            output = self.critic(tensors)
        else:
            teacher = self.frozen[frozen].states(tensors, loss.teacher_top_k) if frozen else None
            output, entropy, teacher_kl = self.policy(
                tensors, loss.temperature, bool(loss.entropy_coef), teacher
            )
        if (
            not indices
        ):  # nothing to learn, but ZeRO-3 follows the outputs that are differentiated, on all ranks alike
            kl = 0.0 if teacher_kl is None else teacher_kl.sum()
            return (output.sum() + kl) * 0.0, {}

        def matrix(column: Floats) -> torch.Tensor:
            return tensors.matrix(torch.from_numpy(column).to(self.device))

        inputs = LossInputs(
            mask=matrix(micro_batch.loss_mask[micro_batch.learnt]),
            columns={name: matrix(micro_batch.column(name)) for name in micro_batch.columns},
            scalars={
                name: torch.from_numpy(scalar).to(self.device) for name, scalar in micro_batch.scalars.items()
            },
            counts=counts,
            data_parallel=self.policy.layout.data,
            logprobs=None if of_critic else tensors.matrix(output),
            entropy=None if entropy is None else tensors.matrix(entropy),
            values=tensors.matrix(output) if of_critic else None,
            teacher_kl=None if teacher_kl is None else tensors.matrix(teacher_kl),
        )
        return compute_loss(loss, inputs)

    def _collated(self, parts: Sequence[Sequence[int]]) -> Iterator[tuple[Batch, MicroBatch]]:
        """Each micro-batch with its tensors, in order: made by a thread while the one before is computed."""

        def make(indices: Sequence[int]) -> tuple[Batch, MicroBatch]:
            micro_batch = self.held.micro_batch(indices)
            return micro_batch, self.collate(micro_batch)

        with ThreadPoolExecutor(max_workers=1) as thread:
            coming = deque[Future[tuple[Batch, MicroBatch]]]()
            for indices in parts:
                coming.append(thread.submit(make, indices))
                if len(coming) == 2:
                    yield coming.popleft().result()
            if coming:
                yield coming.popleft().result()

    def _tensors(self, indices: Sequence[int]) -> MicroBatch:
        return self.collate(self.held.micro_batch(indices))

    def _policy(self, model: torch.nn.Module) -> PolicyModel:
        return PolicyModel(self.family, model, self.forbidden, float32_head=self.setup.model.float32_head)

    def _load(self, path: str) -> torch.nn.Module:
        model = self.setup.model
        dtype = getattr(torch, model.dtype)
        if not self.setup.is_partitioned:
            return self.family.load_model(Path(path), dtype=dtype, attention=model.attention)
        config = deepspeed_config(self.setup.trainer, dtype=model.dtype, device=self.setup.device)
        return partitioned_model(self.family, Path(path), config, dtype=dtype, attention=model.attention)


def _leave_out_shared_memory_op() -> None:
    """DeepSpeed would compile its shared-memory reduction at start-up (40 s here). Only inference uses it."""
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
