"""Which engine is on which devices."""

from __future__ import annotations

from typing import Any

import pytest

from rl.engines.placement import Placement
from rl.recipe.recipe import Recipe
from verifiers.errors import BadInput

SPLIT = {"device": "cuda", "weight_transfer_backend": "nccl"}


def placed(**sections: Any) -> Placement:
    data = {"train_prompts": "a", "heldout_prompts": "b"}
    return Placement.of(Recipe.model_validate({"name": "t", "data": data, **sections}))


def test_on_cpus_nothing_is_reserved() -> None:
    assert placed() == Placement("cpu", {"trainer": (1, 0), "sampler": (1, 0), "judge": (0, 0)})
    placed().require([0], {"sampler", "trainer", "judge"})


def test_on_gpus_every_engine_has_its_own_all_the_time() -> None:
    sampler = {"device": "cuda", "num_workers": 3, "num_gpus_per_worker": 2}
    judged, trainer = (
        {"reward_model": {"path": "rm", "sampler": sampler}},
        {"num_nodes": 2, "ranks_per_node": 8},
    )
    split = {**sampler, "weight_transfer_backend": "nccl"}
    placement = placed(sampler=split, trainer=trainer, judging=judged)
    assert placement == Placement(
        "cuda", {"trainer": (2, 8), "sampler": (3, 2), "judge": (3, 2)}, within_one_machine=False
    )
    assert placement.gpus == {"trainer": 16, "sampler": 6, "judge": 6}


def test_on_gpus_a_worker_has_as_many_as_its_model_is_cut_into() -> None:
    """Unless the recipe says another number."""
    for settings, wanted in (({}, 3), ({"tensor_parallel_size": 4}, 12), ({"num_gpus_per_worker": 0.5}, 1.5)):
        assert placed(sampler={"device": "cuda", "num_workers": 3, **settings}).gpus["sampler"] == wanted


def test_a_cluster_with_too_few_gpus_is_told_at_once() -> None:
    """Only what runs together counts: supervised training alone needs no sampler."""
    placement = placed(sampler={**SPLIT, "num_workers": 2})
    placement.require([3], {"sampler", "trainer", "judge"})
    placement.require([1], {"trainer"})
    with pytest.raises(
        BadInput, match=r"needs 3 GPUs at once \(1 for the trainer, 2 for the sampler\) and Ray has 2"
    ):
        placement.require([1, 1], {"sampler", "trainer"})


def test_what_does_not_fit_on_one_node_is_told_at_once() -> None:
    """Though there are enough GPUs in all: the ranks of a node are placed together, and so are a worker's."""
    sampler = {**SPLIT, "num_workers": 2, "tensor_parallel_size": 4}
    ranks = placed(sampler=sampler, trainer={"ranks_per_node": 8})
    all_engines = {"sampler", "trainer", "judge"}
    ranks.require([8, 4, 4], all_engines)
    ranks.require([16], all_engines)
    with pytest.raises(
        BadInput,
        match=r"the trainer needs 8 GPUs on one node.*nodes have 4, 4, 4, 4\): lower trainer.ranks_per_node, and raise",
    ):
        ranks.require([4] * 4, all_engines)
    with pytest.raises(
        BadInput, match=r"the sampler needs 4 GPUs on one node.*lower sampler.tensor_parallel"
    ):
        ranks.require([8, 2, 6], all_engines)
    judge = {"device": "cuda", "tensor_parallel_size": 2}
    judged = placed(sampler=SPLIT, judging={"reward_model": {"path": "rm", "sampler": judge}})
    judged.require([2, 1, 1], all_engines)
    with pytest.raises(BadInput, match=r"the judge needs 2 GPUs on one node.*lower judging.reward_model"):
        judged.require([1] * 4, all_engines)


def test_parts_of_a_gpu_fill_it() -> None:
    parts = placed(sampler={"device": "cuda", "num_workers": 10, "num_gpus_per_worker": 0.1})
    parts.require([2], {"sampler", "trainer"})


def test_weights_that_cannot_reach_the_sampler_are_told_at_once() -> None:
    """Supervised training on several machines needs no sampler; on one, all memory is in reach."""
    cpu, gpu = placed(trainer={"num_nodes": 2}), placed(sampler={"device": "cuda"})
    cpu.require([0, 0], {"trainer"})
    gpu.require([2], {"trainer", "sampler"})
    with pytest.raises(BadInput, match=r"within one machine, and Ray has 2 nodes, .*: use a Ray of one node"):
        cpu.require([0, 0], {"trainer", "sampler"})
    gpu.require([0, 2], {"trainer", "sampler"})  # the head of a cluster has none
    with pytest.raises(
        BadInput, match=r"within one machine, and Ray has 2 nodes with GPUs, .*: set it to nccl"
    ):
        gpu.require([8, 8], {"trainer", "sampler"})
