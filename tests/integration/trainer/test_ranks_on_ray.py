"""The trainer as a run has it: verl's worker group of Ray actors computes what the reference does."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import ray

from rl.algorithm.loss.losses import LossSpec
from rl.recipe.data_config import DataConfig
from rl.recipe.recipe import Recipe
from rl.recipe.trainer_config import TrainerConfig
from rl.run.ray_session import PORTS


def test_two_actors(
    ray_session: None, trainer: Callable[..., Any], case: Any, tiny_model: Path, tmp_path: Path
) -> None:
    """Same bits as ranks started without Ray, each rank writes its own log, they meet at a port that no connection
    takes, and what Ray reserved is given back."""
    from rl.trainer.trainer import Trainer

    config = TrainerConfig(ranks_per_node=2, zero_stage=3, threads_per_rank=1, micro_batch_tokens=256)
    recipe = Recipe(name="t", data=DataConfig(train_prompts="a", heldout_prompts="b"), trainer=config)
    (tmp_path / "logs").mkdir()
    free_before = ray.available_resources()["CPU"]
    on_ray = Trainer(recipe.trainer, recipe.model, tiny_model, tmp_path / "logs")
    try:
        for worker in on_ray._ranks.workers:
            host, port = ray.get(worker.get_master_addr_port.remote())
            assert host == "127.0.0.1" and int(port) in PORTS
        local = trainer(2, zero_stage=3)
        assert on_ray.model_sizes["num_parameters"] == local.model_sizes["num_parameters"]
        wanted, wanted_entropy = local.logprobs(case.batch)
        logprobs, entropy = on_ray.logprobs(case.batch)
        np.testing.assert_array_equal(logprobs, wanted)
        np.testing.assert_array_equal(entropy, wanted_entropy)
        metrics = on_ray.update([case.batch], [0.0], LossSpec())[0]
        again = local.update([case.batch], [0.0], LossSpec())[0]
        assert (metrics["loss"], metrics["grad_norm"]) == (again["loss"], again["grad_norm"])
        assert {path.name for path in (tmp_path / "logs").iterdir()} >= {
            "trainer-rank-0.log",
            "trainer-rank-1.log",
        }
        assert ray.available_resources().get("CPU", 0) == free_before - 2
    finally:
        on_ray.shutdown()
    deadline = time.monotonic() + 30
    while ray.available_resources().get("CPU", 0) < free_before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert ray.available_resources()["CPU"] == free_before
