"""The DeepSpeed half of a trainer rank: micro-batches in, log-probabilities, optimizer steps and weights out."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import deepspeed
import torch
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors.torch import save_file
from transformers import AutoProcessor

from rl.batch import Floats, TrainBatch
from rl.collator import Collator
from rl.families.family import load_family
from rl.hub_weights import HubWeights, open_transfer
from rl.losses import LossInputs, LossSpec, compute_loss
from rl.policy_model import MicroBatch, PolicyModel
from rl.rank_work import RankWork, TrainerSetup
from rl.trainer_config import deepspeed_config


class TrainerEngine:
    """A DeepSpeed engine over one family's model. Every method is called on all ranks at once."""

    def __init__(self, setup: TrainerSetup) -> None:
        """Load the checkpoint, freeze what is frozen, start DeepSpeed. MASTER_ADDR, RANK and so on are in the
        environment, as torch.distributed wants them."""
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
        self.rank, self.num_ranks = torch.distributed.get_rank(), torch.distributed.get_world_size()
        self.family = load_family(setup.model.family)
        processor = AutoProcessor.from_pretrained(setup.model_path)
        policy = PolicyModel(
            self.family, self._load(setup.model_path), self.family.forbidden_token_ids(processor.tokenizer)
        )
        self._prepare_for_training(policy)
        self.engine, *_ = deepspeed.initialize(
            model=policy,
            model_parameters=list(_decay_groups(policy, setup.trainer.weight_decay)),
            config=deepspeed_config(setup.trainer, dtype=setup.model.dtype, device=setup.device),
        )
        self.collate = Collator(
            self.family,
            processor,
            image_token_id=policy.model.config.image_token_id,
            pad_token_id=processor.tokenizer.pad_token_id,
            packed=setup.trainer.layout == "packed",
            always_picture=self.is_partitioned or self.num_ranks > 1,
            cache_bytes=setup.trainer.image_cache_mib << 20,
            device=self.device,
        )
        self.hub_weights = HubWeights(self.family, policy.model, gather=self.is_partitioned)
        self.reference: PolicyModel | None = None
        self.transfer: Any = None

    @property
    def is_partitioned(self) -> bool:
        """ZeRO-3: a rank holds a part of each parameter, and every use of one is a collective."""
        return self.setup.trainer.zero_stage == 3

    @property
    def facts(self) -> dict[str, int]:
        """Sizes of the model, whatever part of it this rank holds."""
        sizes = [
            (int(getattr(parameter, "ds_numel", parameter.numel())), parameter.requires_grad)
            for parameter in self.engine.module.parameters()
        ]
        return {
            "num_parameters": sum(size for size, _ in sizes),
            "num_trained_parameters": sum(size for size, trained in sizes if trained),
        }

    def reset_optimizer(self) -> None:
        """Forget moments and step counts: a stage starts from weights alone."""
        optimizer = self.engine.optimizer
        base = getattr(optimizer, "optimizer", optimizer)
        for state in base.state.values():
            for value in state.values():
                if torch.is_tensor(value):
                    value.zero_()
            if isinstance(state.get("step"), int):
                state["step"] = 0

    def logprobs(
        self, work: RankWork, temperature: float, of_reference: bool
    ) -> tuple[list[Floats], list[Floats]]:
        """Log-probabilities and entropies of every response token, flat, one pair of arrays a micro-batch."""
        model = self.reference if of_reference else self.engine
        assert model is not None, "load_reference comes before log-probabilities of the reference"
        logprobs, entropies = [], []
        with torch.no_grad():
            for micro_batch in (part for step in work.steps for part in step):
                values, entropy = model(self._tensors(work, micro_batch), temperature, True)
                if micro_batch is not None:
                    logprobs.append(values.cpu().numpy())
                    entropies.append(entropy.cpu().numpy())
        return logprobs, entropies

    def update(self, work: RankWork, loss: LossSpec) -> list[dict[str, float]]:
        """Take the optimizer steps in ``work``. Returns this rank's metric sums for each step."""
        self.engine.train()
        return [
            self._step(work, micro_batches, rate, loss)
            for micro_batches, rate in zip(work.steps, work.rates, strict=True)
        ]

    def save_checkpoint(self, directory: str) -> None:
        """DeepSpeed's own checkpoint, weights and optimizer, for going on inside a stage."""
        self.engine.save_checkpoint(directory, tag="state")

    def load_checkpoint(self, directory: str) -> None:
        """Back to what ``save_checkpoint`` wrote. Raises: RuntimeError where it cannot be read."""
        path, _ = self.engine.load_checkpoint(directory, tag="state")
        if path is None:
            raise RuntimeError(f"DeepSpeed found no checkpoint in {directory}")

    def load_weights(self, hub_directory: str) -> None:
        """Weights of a hub-layout checkpoint into the engine; the optimizer's master copy follows.

        One parameter at a time: DeepSpeed's ``load_module_state_dict`` passes over the small parameters that ZeRO-3
        keeps whole, so that their partition, and the master copy made from it, would stay the old policy's.
        """
        loaded = dict(self._load(hub_directory).named_parameters())
        for name, parameter in self.engine.module.model.named_parameters():
            gathered: Any = deepspeed.zero.GatheredParameters(
                [parameter], modifier_rank=0, enabled=self.is_partitioned
            )
            with gathered:
                if self.rank == 0 or not self.is_partitioned:
                    parameter.data.copy_(loaded[name])
        self.engine.optimizer.refresh_fp32_params()

    def export(self, directory: str) -> None:
        """The policy in the hub layout, as rank 0 alone writes it: safetensors shards with their index."""
        weights = {name: tensor.to("cpu", copy=True) for name, tensor in self.hub_weights}
        if self.rank != 0:
            return
        path = Path(directory)
        path.mkdir(parents=True, exist_ok=True)
        split = split_torch_state_dict_into_shards(weights, filename_pattern="model{suffix}.safetensors")
        for file, names in split.filename_to_tensors.items():
            save_file({name: weights[name] for name in names}, path / file, metadata={"format": "pt"})
        if split.is_sharded:
            index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
            (path / "model.safetensors.index.json").write_text(json.dumps(index, indent=2))

    def load_reference(self, directory: str) -> None:
        """Hold a frozen copy of a checkpoint as the reference policy of the KL term."""
        model = self._load(directory).requires_grad_(False).eval()
        self.reference = PolicyModel(self.family, model, tuple(self.engine.module.forbidden_ids.tolist()))
        self.reference.to(self.device)

    def send_weights(self, backend: str, client: Any, num_inference_ranks: int) -> float:
        """Send the current weights to every sampler worker behind ``client``. Returns the seconds it took."""
        start = time.perf_counter()
        if self.transfer is None:
            self.transfer = open_transfer(
                backend,
                rank=self.rank,
                client=client,
                source=self.hub_weights,
                num_inference_ranks=num_inference_ranks,
            )
        self.transfer.client = client
        self.transfer.send_weights()
        return time.perf_counter() - start

    def close(self) -> None:
        """Remove the weights that the last sync left in shared memory."""
        if self.transfer is not None:
            self.transfer.shutdown()

    def _step(
        self, work: RankWork, micro_batches: Sequence[TrainBatch | None], rate: float, loss: LossSpec
    ) -> dict[str, float]:
        start = time.perf_counter()
        for group in self.engine.optimizer.param_groups:
            group["lr"] = rate
        metrics: dict[str, float] = {}
        for place, micro_batch in enumerate(micro_batches):
            self.engine.set_gradient_accumulation_boundary(place == len(micro_batches) - 1)
            value, sums = self._loss(work, micro_batch, loss)
            self.engine.backward(value)
            sums["loss"] = float(value.detach()) / self.num_ranks
            for name, addend in sums.items():
                metrics[name] = metrics.get(name, 0.0) + addend
        self.engine.step()
        metrics["grad_norm"] = float(self.engine.get_global_grad_norm() or 0.0)
        metrics["seconds"] = time.perf_counter() - start
        return metrics

    def _loss(
        self, work: RankWork, micro_batch: TrainBatch | None, loss: LossSpec
    ) -> tuple[torch.Tensor, dict[str, float]]:
        tensors = self._tensors(work, micro_batch)
        logprobs, entropy = self.engine(tensors, loss.temperature, bool(loss.entropy_coef))
        if (
            micro_batch is None
        ):  # nothing to learn here, but the collective work must be the same on all ranks
            return logprobs.sum() * 0.0, {}

        def matrix(column: Floats) -> torch.Tensor:
            return tensors.matrix(torch.from_numpy(column).to(self.device))

        inputs = LossInputs(
            logprobs=tensors.matrix(logprobs),
            entropy=None if entropy is None else tensors.matrix(entropy),
            old_logprobs=matrix(micro_batch.old_logprobs),
            ref_logprobs=matrix(micro_batch.ref_logprobs),
            sample_logprobs=matrix(micro_batch.sample_logprobs),
            advantages=matrix(micro_batch.advantages),
            mask=matrix(micro_batch.loss_mask),
            kl_coef=torch.from_numpy(micro_batch.kl_coef).to(self.device),
            num_loss_tokens=micro_batch.num_loss_tokens,
            num_loss_sequences=micro_batch.num_loss_sequences,
            num_ranks=self.num_ranks,
        )
        return compute_loss(loss, inputs)

    def _tensors(self, work: RankWork, micro_batch: TrainBatch | None) -> MicroBatch:
        batch = work.filler if micro_batch is None else micro_batch
        assert batch is not None, "an empty micro-batch needs a filler"
        return self.collate(batch.replace(images=work.images))

    def _load(self, path: str) -> torch.nn.Module:
        dtype = getattr(torch, self.setup.model.dtype)
        return self.family.load_model(Path(path), dtype=dtype, attention=self.setup.model.attention)

    def _prepare_for_training(self, policy: PolicyModel) -> None:
        frozen = self.family.frozen_prefixes(freeze_vision=self.setup.trainer.freeze_vision)
        for name, parameter in policy.model.named_parameters():
            parameter.requires_grad_(not name.startswith(frozen))
        if self.setup.trainer.gradient_checkpointing:
            policy.model.gradient_checkpointing_enable({"use_reentrant": False})
        if (
            self.is_partitioned
        ):  # an expert layer is gathered whole: which experts run differs from rank to rank
            names = set(self.family.expert_modules())
            classes = {type(module) for module in policy.modules() if type(module).__name__ in names}
            deepspeed.utils.set_z3_leaf_modules(policy, list(classes))


def _leave_out_shared_memory_op() -> None:
    """DeepSpeed would compile its shared-memory reduction at start-up (40 s here). Only inference uses it."""
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False


def _decay_groups(model: torch.nn.Module, weight_decay: float) -> Iterator[dict[str, Any]]:
    """Matrices decay; gains, biases and other vectors do not."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    matrices = [parameter for parameter in trained if parameter.ndim > 1]
    vectors = [parameter for parameter in trained if parameter.ndim <= 1]
    for parameters, decay in ((matrices, weight_decay), (vectors, 0.0)):
        if parameters:
            yield {"params": parameters, "weight_decay": decay}
