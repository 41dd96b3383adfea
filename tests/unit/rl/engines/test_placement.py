"""Which engine is on which devices."""

from __future__ import annotations

from typing import Any

import pytest

from rl.engines.placement import Placement
from rl.recipe.recipe import Recipe
from verifiers.errors import BadInput


def placed(**sections: Any) -> Placement:
    data = {"train_prompts": "a", "heldout_prompts": "b"}
    return Placement.of(Recipe.model_validate({"name": "t", "data": data, **sections}))


def test_on_cpus_nothing_is_reserved() -> None:
    assert placed() == Placement("cpu", {"trainer": 0, "sampler": 0, "judge": 0})


def test_on_gpus_every_engine_has_its_own_all_the_time() -> None:
    sampler = {"device": "cuda", "num_workers": 3, "num_gpus_per_worker": 2}
    judged = {"reward_model": {"path": "rm", "sampler": sampler}}
    placement = placed(sampler=sampler, trainer={"num_nodes": 2, "ranks_per_node": 8}, judging=judged)
    assert placement == Placement("cuda", {"trainer": 16, "sampler": 6, "judge": 6})


def test_on_gpus_a_worker_has_as_many_as_its_model_is_cut_into() -> None:
    """Unless the recipe says another number."""
    for settings, wanted in (({}, 3), ({"tensor_parallel_size": 4}, 12), ({"num_gpus_per_worker": 0.5}, 1.5)):
        assert placed(sampler={"device": "cuda", "num_workers": 3, **settings}).gpus["sampler"] == wanted


def test_a_cluster_with_too_few_gpus_is_told_at_once() -> None:
    """Only what runs together counts: supervised training alone needs no sampler."""
    placement = placed(sampler={"device": "cuda", "num_workers": 2})
    placement.require(3, {"sampler", "trainer", "judge"})
    placement.require(1, {"trainer"})
    with pytest.raises(
        BadInput, match=r"needs 3 GPUs at once \(1 for the trainer, 2 for the sampler\) and Ray has 2"
    ):
        placement.require(2, {"sampler", "trainer"})
