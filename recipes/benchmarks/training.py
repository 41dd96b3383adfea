"""How close a training step through the trainer comes to a bare DeepSpeed loop over the same micro-batches.

The bare loop is written as one would by hand: transformers' own forward over tensors made beforehand, token-mean
cross-entropy on the response, ``backward``, ``step``. It has no pictures to decode, nothing to cut and nothing to send.
Both live in Ray actors with the same environment and threads; runs are interleaved, and each is timed by its caller.

    hone bench training
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from recipes.benchmarks.speed import Speeds
from rl.data.batch import Batch
from rl.engines.engines import Engines


class BareLoop:
    """transformers and DeepSpeed with nothing of Hone in the step."""

    def __init__(self, model_path: str, deepspeed_settings: dict[str, Any], threads: int) -> None:
        import deepspeed
        import torch
        from transformers import Qwen3VLMoeForConditionalGeneration

        torch.set_num_threads(threads)
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False  # not compiled for either contender
        deepspeed.init_distributed(dist_backend="gloo", auto_mpi_discovery=False, verbose=False)
        model = Qwen3VLMoeForConditionalGeneration.from_pretrained(model_path, dtype=torch.float32)
        self.engine, *_ = deepspeed.initialize(
            model=model, model_parameters=list(model.parameters()), config=deepspeed_settings
        )

    def step(self, micro_batches: list[dict[str, Any]], num_loss_tokens: int, rate: float) -> float:
        """One optimizer step; returns its seconds."""
        import torch
        from torch.nn.functional import cross_entropy

        inputs = [{name: torch.from_numpy(array) for name, array in one.items()} for one in micro_batches]
        start = time.perf_counter()
        for group in self.engine.optimizer.param_groups:
            group["lr"] = rate
        for index, tensors in enumerate(inputs):
            labels = tensors.pop("labels")
            self.engine.set_gradient_accumulation_boundary(index == len(inputs) - 1)
            logits = self.engine(**tensors).logits
            loss = (
                cross_entropy(
                    logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100, reduction="sum"
                )
                / num_loss_tokens
            )
            self.engine.backward(loss)
        self.engine.step()
        return time.perf_counter() - start


def measure_training(engines: Engines, batch: Batch, *, num_runs: int) -> Speeds:
    """The engines' trainer beside a bare loop; padding is not counted. Two steps of each contender warm up."""
    import ray

    from rl.algorithm.loss.losses import LossSpec
    from rl.run.ray_session import free_port
    from rl.trainer.micro_batch import cut_micro_batches
    from rl.trainer.models.deepspeed_model import deepspeed_config
    from rl.trainer.trainer import rank_environment

    config, model_path, trainer = engines.recipe.trainer, engines.base.hub, engines.trainer
    (plan,) = cut_micro_batches(batch.lengths, [range(len(batch))], config.micro_batch_tokens)
    environment = rank_environment(config.threads_per_node, 1, "cpu") | {
        "RANK": "0",
        "WORLD_SIZE": "1",
        "LOCAL_RANK": "0",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
    }
    settings = deepspeed_config(config, dtype="float32", device="cpu")
    bare = (
        ray.remote(BareLoop)
        .options(num_cpus=0, runtime_env={"env_vars": environment})
        .remote(str(model_path), settings, config.threads_per_node)
    )
    tensors = [_bare_tensors(batch.select(indices), model_path) for indices in plan]

    def of_hone(run: int) -> float:
        start = time.perf_counter()
        trainer.update([batch], [1e-6], LossSpec())
        return batch.num_tokens / (time.perf_counter() - start)

    def of_bare(run: int) -> float:
        seconds = ray.get(bare.step.remote(tensors, batch.counts.num_loss_tokens, 1e-6))
        return batch.num_tokens / float(seconds)

    sizes = f"{len(batch)} sequences, {batch.num_tokens} tokens, {len(plan)} micro-batches"
    contenders = {"hone": of_hone, "bare": of_bare}
    try:
        return Speeds.measured(f"training: {sizes} a step", contenders, num_runs=num_runs, num_warm=2)
    finally:
        ray.kill(bare)


def _bare_tensors(part: Batch, model_path: Path) -> dict[str, np.ndarray]:
    """What transformers' own forward takes for the same sequences, one picture for each of them."""
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(model_path)
    ends = np.cumsum(part.lengths)[:-1]
    sequences, learnt = np.split(part.token_ids, ends), np.split(part.learnt, ends)
    longest = int(part.lengths.max())
    ids = np.full((len(part), longest), processor.tokenizer.pad_token_id, np.int64)
    labels = np.full((len(part), longest), -100, np.int64)
    mask = np.zeros((len(part), longest), np.int64)
    for row, (tokens, wanted) in enumerate(zip(sequences, learnt, strict=True)):
        ids[row, : len(tokens)] = tokens
        labels[row, : len(tokens)][wanted] = tokens[wanted]
        mask[row, : len(tokens)] = 1
    images = [picture.pil_image() for shown in part.vision_inputs for picture in shown]
    pictures = processor.image_processor(images=images, return_tensors="np")
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "labels": labels,
        "mm_token_type_ids": (ids == processor.image_token_id).astype(np.int64),
        "pixel_values": np.asarray(pictures["pixel_values"], np.float32),
        "image_grid_thw": np.asarray(pictures["image_grid_thw"], np.int64),
    }
