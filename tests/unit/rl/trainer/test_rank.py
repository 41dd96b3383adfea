"""What a rank lets the controller call: methods that its models have, those of a batch handed out one part a rank."""

from __future__ import annotations

from typing import Any

from verl.single_controller.base.decorator import MAGIC_ATTR, Dispatch

from rl.trainer.rank import TrainerRank
from rl.trainer.rank_models import RankModels

OF_A_BATCH = {"logprobs", "values", "update"}


def test_the_models_have_what_the_rank_passes_on() -> None:
    class Models:
        def __getattr__(self, name: str) -> Any:
            return lambda *arguments: (name, arguments)

    rank = TrainerRank.__new__(TrainerRank)
    rank.models = Models()
    own = {name: method for name, method in vars(TrainerRank).items() if hasattr(method, MAGIC_ATTR)}
    passed_on = own.keys() - {"build", "close"}
    assert passed_on > OF_A_BATCH
    for name in passed_on:
        assert callable(getattr(RankModels, name))
        assert getattr(rank, name)("a", "b") == (name, ("a", "b"))
        mode = Dispatch.ALL_TO_ALL if name in OF_A_BATCH else Dispatch.ONE_TO_ALL
        assert getattr(own[name], MAGIC_ATTR)["dispatch_mode"] == mode
