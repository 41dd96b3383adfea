"""Preflight of a recipe's surroundings: what is missing is named before a run would miss it."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from rl.preflight.environment import check_environment
from rl.recipe.recipe import Recipe


def recipe(**sections: Any) -> Recipe:
    return Recipe.model_validate({"name": "x", "data": {"builder": "a:b"}, **sections})


def test_wandb_is_asked_for_only_where_the_recipe_does(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(check_environment(recipe())) == []
    (check,) = check_environment(recipe(metrics={"wandb_project": "mine"}))
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert (check.run().outcome, "pip install wandb" in check.run().summary) == ("failed", True)
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(__spec__=SimpleNamespace()))
    assert check.run().outcome == "ok"


@pytest.mark.parametrize(
    ("model", "device", "said"),
    [
        (
            {"attention": "flash_attention_2"},
            "cuda",
            "package flash_attn, which is not installed: set torch_varlen",
        ),
        ({"attention": "torch_varlen", "dtype": "bfloat16"}, "cpu", "set model.attention=sdpa"),
        ({"attention": "torch_varlen"}, "cuda", "is for model.dtype=bfloat16"),
        ({"attention": "torch_varlen", "dtype": "bfloat16"}, "cuda", None),
    ],
)
def test_an_attention_that_would_fail_in_every_rank(model: Any, device: str, said: str | None) -> None:
    (check,) = check_environment(recipe(model=model, sampler={"device": device}))
    finding = check.run()
    assert (
        (finding.outcome == "ok")
        if said is None
        else (finding.outcome == "failed" and said in finding.summary)
    )
