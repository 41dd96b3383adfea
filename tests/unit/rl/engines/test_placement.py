"""Which engine is on which devices."""

from __future__ import annotations

from typing import Any

from rl.engines.placement import Placement
from rl.recipe.recipe import Recipe


def placed(**sections: Any) -> Placement:
    data = {"train_prompts": "a", "heldout_prompts": "b"}
    return Placement.of(Recipe.model_validate({"name": "t", "data": data, **sections}))


def test_on_cpus_nothing_is_reserved() -> None:
    assert placed() == Placement("split", "cpu", 0, 0, 0)


def test_on_gpus_every_engine_has_its_own_all_the_time() -> None:
    sampler = {"device": "cuda", "num_workers": 3, "num_gpus_per_worker": 2}
    judged = {"reward_model": {"path": "rm", "sampler": sampler}}
    placement = placed(sampler=sampler, trainer={"num_nodes": 2, "ranks_per_node": 8}, judging=judged)
    assert placement == Placement("split", "cuda", 16, 6, 6)
    assert placement.num_gpus == 28
